"""The product on servers of its own, each of which may be killed or frozen."""

from __future__ import annotations

import os
import secrets
import signal
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from embedded import processes
from embedded.postgres import Postgres
from embedded.processes import Child, spawn
from embedded.profile import ROOT
from embedded.redis import Redis
from tests.browser.stack import Stack, wait_until
from tests.capture.capture_support import Proxy
from tests.runs.support import Caller

FINAL = {"SUCCEEDED", "FAILED", "CANCELLED"}


@dataclass
class Server:
    """PostgreSQL or Redis of these tests alone, which may be killed."""

    program: Postgres | Redis
    children: list[Child] = field(default_factory=list)

    def start(self) -> None:
        self.children.append(self.program.launch(dict(os.environ)))
        processes.wait_until(self.program.is_ready, self.children[-1])

    def kill(self) -> None:
        """As a machine dies: nobody is told."""
        os.killpg(self.children[-1].process.pid, signal.SIGKILL)
        self.children[-1].process.wait()

    def stop(self) -> None:
        processes.stop(self.children[-1:], seconds=lambda: 5)


@dataclass
class Place:
    stack: Stack
    postgres: Server
    redis: Server
    s3: Proxy
    directory: Path
    bob: Caller
    second: Child | None = None

    def supervise(self) -> None:
        """What died is started again, as whoever runs the product does it: so is a worker whose broker was killed.

        The second worker, for runs as well, has a beat of its own: two find every lost run at once.
        """
        self.stack.console.watch(lambda said: None)
        if self.second is None or not self.second.is_alive:
            # Its beat outlives a worker that was killed.
            processes.stop([self.second] if self.second else [], seconds=lambda: 0)
            command = [str(part) for part in self.stack.console.commands()["jobs"]]
            command = ["jobs,runs" if part == "jobs" else part for part in command]
            command = [part.replace("jobs@", "second@").replace("beat-", "second-beat-") for part in command]
            log = self.stack.logs / "second.log"
            self.second = spawn("second", command, log=log, env=self.stack.console.environment, cwd=ROOT)

    def wait_for_both(self) -> None:
        """Until each of the two workers for runs has taken one: one that was killed is back."""

        def have_taken_runs() -> bool:
            self.ended(self.trigger(seconds=0.02), seconds=40)
            query = "SELECT DISTINCT worker FROM runs_run WHERE created_at > now() - interval '1 minute'"
            taking = {int(worker.rpartition(":")[2]) for (worker,) in self.stack.rows(query) if worker}
            workers = [self.stack.console.children["runs"], self.second]
            return {worker.process.pid for worker in workers if worker} <= taking

        wait_until(have_taken_runs, seconds=60, what="both workers for runs")

    def trigger(self, flow: str = "nightly", seconds: float = 2.0) -> dict[str, Any]:
        """A run, and the file in which its tasks leave their effects."""
        path = self.directory / secrets.token_hex(8)
        parameters = {"path": str(path), "seconds": seconds}
        return {**self.bob.trigger(flow, **parameters), "effects": path}

    def begun(self, flow: str = "nightly", seconds: float = 2.0) -> dict[str, Any]:
        run = self.trigger(flow, seconds)

        def has_begun() -> bool:
            self.supervise()
            return run["effects"].exists() and bool(self.lines(run))

        wait_until(has_begun, seconds=20, what="the run's first lines")
        return run

    def ended(self, run: dict[str, Any], *, seconds: float) -> dict[str, Any]:
        found: dict[str, Any] = {}

        def is_final() -> bool:
            self.supervise()
            found.update(self.bob.call(f"/runs/{run['id']}"))
            return found["status"] in FINAL

        wait_until(is_final, seconds=seconds, what="the end of the run")
        return found

    def lines(self, run: dict[str, Any]) -> list[str]:
        query = "SELECT message FROM runs_logline WHERE run_id = %s AND message ~ '^[0-9]+-' ORDER BY sequence"
        return [row[0] for row in self.stack.rows(query, run["id"])]

"""The console's own processes, restarted where they die: web, four workers, one of them with beat, and the inbox."""

from __future__ import annotations

import http.client
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from embedded.files import rotate
from embedded.processes import Child, spawn, stop, wait_until
from embedded.profile import ROOT, Profile

_STEADY_SECONDS = 60


@dataclass
class _Restart:
    pause: float = 1
    due: float | None = None


@dataclass
class Console:
    """Web, workers for short tasks, for what waits for strangers, for runs, and for jobs and beat, all with
    `environment`; the inbox, where it has `ports` of 127.0.0.1."""

    profile: Profile
    environment: Mapping[str, str]
    ports: Mapping[str, int]
    longest_pause_seconds: float = 30
    children: dict[str, Child] = field(default_factory=dict, init=False)
    _restarts: dict[str, _Restart] = field(default_factory=dict, init=False)

    def launch(self) -> None:
        """Start web, worker and inbox without waiting for them."""
        if "inbox" in self.ports:
            self._spawn("inbox")
        self._spawn("web")
        self._spawn("worker")

    def wait_until_live(self, stopping: Callable[[], None]) -> None:
        """Wait until web answers, then start runs, jobs and beat. `stopping` is called often and may raise.

        Raises EmbeddedError where web does not come up.
        """
        wait_until(self.is_live, self.children["web"], stopping=stopping)
        # Last, because it would only take the processor from the other two while they start.
        self._spawn("runs")
        self._spawn("outside")
        self._spawn("jobs")

    def is_live(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.ports["web"], timeout=2)
        try:
            connection.request("GET", "/health/live")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def watch(self, say: Callable[[str], None]) -> None:
        """Start again what has died, each time after a longer pause, and `say` so."""
        now = time.monotonic()
        for name, child in list(self.children.items()):
            rotate(child.log)
            restart = self._restarts.setdefault(name, _Restart())
            if child.is_alive:
                if now - child.started > _STEADY_SECONDS:
                    restart.pause = 1
            elif restart.due is None:
                say(f"{name} stopped {child.describe_end()}; starting it again in {restart.pause:.0f} s.")
                restart.due = now + restart.pause
                restart.pause = min(restart.pause * 2, self.longest_pause_seconds)
            elif now >= restart.due:
                restart.due = None
                stop([child], seconds=lambda: 0)
                self._spawn(name)

    def stop(self, *, seconds: Callable[[], float]) -> None:
        stop(list(self.children.values()), seconds=seconds)
        self.children.clear()

    def _spawn(self, name: str) -> None:
        # What the audit log is protected from does not lie beside it.
        env = {variable: value for variable, value in self.environment.items() if variable != "DATABASE_OWNER_URL"}
        log = self.profile.logs / f"{name}.log"
        self.children[name] = spawn(name, self.commands()[name], log=log, env=env, cwd=ROOT)

    def _run_queues(self) -> list[str]:
        named = [name.strip() for name in self.environment.get("DAGY_RUN_QUEUES", "").split(",")]
        return ["runs", *(f"runs.{name}" for name in named if name not in ("", "default"))]

    def commands(self) -> dict[str, list[str | Path]]:
        """Name of each process -> its command."""
        python: list[str | Path] = [sys.executable, "-m"]
        schedule = self.profile.directory / "beat-schedule"
        commands = {
            "web": [*python, "dagy_console.serve", f"127.0.0.1:{self.ports['web']}", "4"],
            "worker": [*python, *_WORKER, "-Q", "celery", "-c", "4", "-n", "worker@%h"],
            # Strangers who answer slowly hold up nobody but each other.
            "outside": [*python, *_WORKER, "-Q", "outside", "-c", "8", "-n", "outside@%h"],
            # Long work has threads of its own, so that it never keeps the index waiting. Beat costs least in here.
            "jobs": [*python, *_WORKER, "-Q", "jobs", "-c", "4", "-n", "jobs@%h", "-B", "--schedule", schedule],
            "runs": [*python, *_WORKER, "-Q", ",".join(self._run_queues()), "-c", "4", "-n", "runs@%h"],
        }
        if "inbox" in self.ports:
            commands["inbox"] = [*python, "embedded.inbox", *(str(self.ports[name]) for name in ("inbox", "smtp"))]
        return commands


# Several workers of one machine have nothing to tell each other.
_WORKER = (
    "celery",
    "-A",
    "dagy_console",
    "worker",
    "--pool=threads",
    "--loglevel=info",
    "--without-gossip",
    "--without-mingle",
)

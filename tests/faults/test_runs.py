"""Runs while servers and workers die: each ends in the right final state, once, with its whole log."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from embedded import processes
from embedded.ports import kept_ports
from embedded.postgres import Postgres, data_directory
from embedded.processes import Child, spawn
from embedded.profile import ROOT, Profile
from embedded.redis import Redis
from tests.browser.stack import PEOPLE, Stack, running_stack, wait_until
from tests.conftest import PASSWORD
from tests.runs.support import Caller

pytestmark = pytest.mark.xdist_group("lost-servers")
FLOWS = """
import logging, os, time
from dagy import flow, task

log = logging.getLogger("app")

@task
def work(after, number: int, path: str, seconds: float):
    with open(path, "a") as effects:
        effects.write(f"{number} {os.getpid()}\\n")
    for line in range(int(seconds * 50)):
        log.info("%d-%d", number, line)
        time.sleep(0.02)
    return number

@flow
def nightly(path: str, seconds: float = 2.0):
    done = None
    for number in range(3):
        done = work(done, number, path, seconds)

@flow
def again(path: str, seconds: float = 2.0):
    done = None
    for number in range(3):
        done = work(done, number, path, seconds)
"""
FINAL = {"SUCCEEDED", "FAILED", "CANCELLED"}


@dataclass
class Server:
    """PostgreSQL or Redis of this module alone, which may be killed."""

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
    directory: Path
    bob: Caller
    second: Child | None = None

    def supervise(self) -> None:
        """What died is started again, as whoever runs the product does it: so is a worker whose broker was killed.

        The second worker, for runs as well, has a beat of its own: two find every lost run at once.
        """
        self.stack.console.watch(lambda said: None)
        if self.second is None or not self.second.is_alive:
            command = [str(part) for part in self.stack.console.commands()["jobs"]]
            command = ["jobs,runs" if part == "jobs" else part for part in command]
            command = [part.replace("jobs@", "second@").replace("beat-", "second-beat-") for part in command]
            log = self.stack.logs / "second.log"
            self.second = spawn("second", command, log=log, env=self.stack.console.environment, cwd=ROOT)

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


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    directory = tmp_path_factory.mktemp("faults")
    profile = Profile("faults", directory)
    profile.prepare()
    ports = kept_ports(profile.directory / "ports.json", {"postgres": "PostgreSQL", "redis": "Redis"})
    postgres = Postgres(profile, ports["postgres"], "owner", "application")
    redis = Redis(profile, ports["redis"], "redis")
    servers = Server(postgres), Server(redis)
    try:
        with pytest.MonkeyPatch.context() as patch:
            for server in servers:
                server.start()
            patch.setenv("DATABASE_URL", postgres.application_url("postgres"))
            patch.setenv("DATABASE_OWNER_URL", postgres.owner_url("postgres"))
            patch.setenv("REDIS_URL", redis.database_url(0))
            with running_stack(directory, lambda _: None) as stack:
                place = Place(stack, *servers, directory, Caller(stack.url, PEOPLE["bob"], PASSWORD))
                place.supervise()
                place.bob.deploy(FLOWS, "nightly")
                place.bob.deploy(FLOWS, "again", on_worker_lost="restart")
                yield place
                processes.stop([place.second] if place.second else [], seconds=lambda: 3)
    finally:
        for server in servers:
            server.stop()
        shutil.rmtree(data_directory(profile).parent, ignore_errors=True)


def effects(run: dict[str, Any]) -> list[int]:
    return [int(line.split()[0]) for line in run["effects"].read_text().splitlines()]


def processes_of(run: dict[str, Any]) -> set[int]:
    return {int(line.split()[1]) for line in run["effects"].read_text().splitlines()}


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def all_lines(seconds: float = 2.0) -> list[str]:
    return [f"{number}-{line}" for number in range(3) for line in range(int(seconds * 50))]


def kill_its_worker(place: Place, run: dict[str, Any]) -> None:
    (worker,) = place.stack.rows("SELECT worker FROM runs_run WHERE id = %s", run["id"])[0]
    os.kill(int(worker.rpartition(":")[2]), signal.SIGKILL)


def test_a_restart_of_the_database_costs_no_run_and_no_line(place: Place) -> None:
    runs = [place.begun() for _ in range(2)]
    place.postgres.kill()
    time.sleep(1.5)
    place.postgres.start()
    for run in runs:
        found = place.ended(run, seconds=30)
        assert (found["status"], found["executions"]) == ("SUCCEEDED", 1), found
        assert place.lines(run) == all_lines()
        assert effects(run) == [0, 1, 2]
        assert {task["status"] for task in found["task_runs"]} == {"SUCCEEDED"}


def test_a_restart_of_redis_costs_no_run_and_what_is_triggered_meanwhile_runs_later(place: Place) -> None:
    run = place.begun()
    place.redis.kill()
    began = time.monotonic()
    meanwhile = place.trigger(seconds=0.1)
    assert time.monotonic() - began < 10
    place.redis.start()
    assert place.ended(run, seconds=20)["status"] == "SUCCEEDED"
    assert place.lines(run) == all_lines()
    assert place.ended(meanwhile, seconds=40)["status"] == "SUCCEEDED"
    assert effects(meanwhile) == [0, 1, 2]


def test_a_worker_that_is_killed_is_told_of_and_its_process_is_gone(place: Place) -> None:
    run = place.begun(seconds=5)
    (pid,) = processes_of(run)
    kill_its_worker(place, run)
    wait_until(lambda: not is_alive(pid), seconds=2, what="the end of the run's process")
    found = place.ended(run, seconds=30)
    assert (found["status"], found["error_type"], found["executions"]) == ("FAILED", "WorkerLost", 1)
    assert found["reason"].startswith("worker lost: ")
    assert found["failure"]["task_id"] == "work"
    flushed = place.lines(run)
    assert flushed == all_lines(5)[: len(flushed)]
    assert effects(run) == [0]


def test_a_run_begins_again_where_its_deployment_says_so_and_never_twice_at_once(place: Place) -> None:
    run = place.begun("again", seconds=1)
    kill_its_worker(place, run)
    found = place.ended(run, seconds=40)
    assert (found["status"], found["executions"]) == ("SUCCEEDED", 2), found
    assert effects(run) == [0, 0, 1, 2]
    assert not any(map(is_alive, processes_of(run)))
    assert place.lines(run)[-150:] == all_lines(1)


def test_the_process_of_a_worker_that_hangs_ends_before_another_begins_the_run(place: Place) -> None:
    run = place.begun("again", seconds=2)
    (first,) = processes_of(run)
    (worker,) = place.stack.rows("SELECT worker FROM runs_run WHERE id = %s", run["id"])[0]
    frozen = int(worker.rpartition(":")[2])
    os.kill(frozen, signal.SIGSTOP)
    try:
        # It asks for the order; how soon, on a machine that is not busy, benchmarks/runs.py measures.
        wait_until(lambda: len(processes_of(run)) == 2, seconds=60, what="the run's second process", every=0.02)
        assert not is_alive(first)
    finally:
        os.kill(frozen, signal.SIGCONT)
    found = place.ended(run, seconds=30)
    assert (found["status"], found["executions"]) == ("SUCCEEDED", 2)
    assert place.lines(run)[-300:] == all_lines(2)
    assert (
        found["log_lines"] == place.stack.rows("SELECT count(*) FROM runs_logline WHERE run_id = %s", run["id"])[0][0]
    )

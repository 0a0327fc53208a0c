"""Runs while servers and workers die: each ends in the right final state, once, with its whole log."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tests.browser.stack import wait_until
from tests.faults.place import Place

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


@pytest.fixture(scope="module", autouse=True)
def _deployed(place: Place) -> None:
    place.bob.deploy(FLOWS, "nightly")
    place.bob.deploy(FLOWS, "again", on_worker_lost="restart")


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


@pytest.mark.slow("servers or workers are killed and come back")
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


@pytest.mark.slow("servers or workers are killed and come back")
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


@pytest.mark.slow("servers or workers are killed and come back")
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


@pytest.mark.slow("servers or workers are killed and come back")
def test_a_run_begins_again_where_its_deployment_says_so_and_never_twice_at_once(place: Place) -> None:
    run = place.begun("again", seconds=1)
    kill_its_worker(place, run)
    found = place.ended(run, seconds=40)
    assert (found["status"], found["executions"]) == ("SUCCEEDED", 2), found
    assert effects(run) == [0, 0, 1, 2]
    assert not any(map(is_alive, processes_of(run)))
    assert place.lines(run)[-150:] == all_lines(1)


@pytest.mark.slow("servers or workers are killed and come back")
def test_the_process_of_a_worker_that_hangs_ends_before_another_begins_the_run(place: Place) -> None:
    place.wait_for_both()
    run = place.begun("again", seconds=2)
    (first,) = processes_of(run)
    (worker,) = place.stack.rows("SELECT worker FROM runs_run WHERE id = %s", run["id"])[0]
    frozen = int(worker.rpartition(":")[2])
    os.kill(frozen, signal.SIGSTOP)
    try:
        wait_until(lambda: len(processes_of(run)) == 2, seconds=30, what="the run's second process", every=0.02)
        assert not is_alive(first)
    finally:
        os.kill(frozen, signal.SIGCONT)
    found = place.ended(run, seconds=30)
    assert (found["status"], found["executions"]) == ("SUCCEEDED", 2)
    assert place.lines(run)[-300:] == all_lines(2)
    assert (
        found["log_lines"] == place.stack.rows("SELECT count(*) FROM runs_logline WHERE run_id = %s", run["id"])[0][0]
    )

"""Tasks in processes of their own."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from sdk_support import is_alive, statuses, the_run, wait_until

from dagy import ArtifactSerializationError, RunContext, TaskFailedError, TaskTimeoutError, flow, task


class Picky(Exception):
    def __init__(self, one: str, two: str) -> None:
        super().__init__(f"{one} and {two}")


@task(isolation="process")
def pid(*_: object) -> int:
    return os.getpid()


def test_arguments_results_logs_and_artifacts_cross_over(local_dir: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

    @task(isolation="process", log_prints=True)
    def works(numbers: list[int], context: RunContext) -> dict[str, Any]:
        logging.getLogger("app").info("adding %d numbers", len(numbers))
        print("printed")
        kept = context.artifacts.save("sum.txt", str(sum(numbers)))
        return {"sum": sum(numbers), "pid": os.getpid(), "attempt": context.attempt, "path": kept.path}

    @flow
    def isolated() -> Any:
        return works([1, 2, pid()])

    result = isolated.run_local()
    assert result.value["pid"] != os.getpid()
    assert result.value["sum"] == 3 + result.outputs["pid"]
    assert Path(result.value["path"]).read_text() == str(result.value["sum"])
    log = (the_run(local_dir) / "task_runs" / "works" / "task.log").read_text()
    assert "INFO     [works] adding 3 numbers" in log
    assert "INFO     [works] printed" in log
    wait_until(lambda: not is_alive(result.value["pid"]))


def test_coroutines_run_there_too() -> None:
    import asyncio

    @task(isolation="process")
    async def works() -> int:
        await asyncio.sleep(0.01)
        return os.getpid()

    assert flow(lambda: works(), name="async").run_local().value != os.getpid()


def test_an_exception_keeps_its_type_and_its_traceback() -> None:
    @task(isolation="process")
    def fails(kind: str) -> None:
        if kind == "picky":
            raise Picky("a", "b")
        raise KeyError("customer")

    result = flow(lambda: [fails("key"), fails("picky")], name="failing").run_local(fail_fast=False)
    first, second = (result.task_runs[name] for name in ("fails", "fails-2"))
    assert isinstance(first.error, KeyError)
    assert "test_processes.py" in first.attempts[0]["error"]["traceback"]
    assert second.attempts[0]["error"]["type"] == "Picky"
    assert second.attempts[0]["error"]["message"] == "a and b"


@pytest.mark.parametrize(
    ("how", "said"),
    [
        (lambda: os._exit(3), "exit code 3"),
        (lambda: os.kill(os.getpid(), signal.SIGKILL), "SIGKILL, likely because memory ran out"),
        (lambda: os.kill(os.getpid(), signal.SIGUSR1), "SIGUSR1"),
    ],
)
def test_a_process_that_dies_is_one_tasks_failure(how: Any, said: str) -> None:
    @task(isolation="process")
    def dies() -> None:
        how()

    result = flow(lambda: [dies(), pid()], name="deadly").run_local(fail_fast=False)
    assert statuses(result) == {"dies": "FAILED", "pid": "SUCCEEDED"}
    assert said in result.failure["message"]


def test_what_can_not_leave_its_process_is_refused() -> None:
    @task(isolation="process")
    def returns() -> Any:
        return (n for n in range(3))

    with pytest.raises(ArtifactSerializationError, match="holds a generator at output"):
        flow(lambda: returns(), name="refused").run_local()


def test_a_blocking_process_is_gone_at_the_deadline(tmp_path: Path) -> None:
    """It ignores SIGTERM, and has a child of its own."""
    pids = tmp_path / "pids"

    @task(isolation="process", timeout_seconds=0.5)
    def hangs() -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
        pids.write_text(f"{os.getpid()} {child.pid}")
        time.sleep(60)

    began = time.monotonic()
    with pytest.raises(TaskTimeoutError, match=r"exceeded its timeout_seconds of 0.5"):
        flow(lambda: hangs(), name="timed").run_local()
    assert time.monotonic() - began < 1.5
    for number in map(int, pids.read_text().split()):
        wait_until(lambda number=number: not is_alive(number), 2)


def test_cancelling_lets_a_process_clean_up_then_ends_it(tmp_path: Path) -> None:
    cleaned, started = tmp_path / "cleaned", tmp_path / "started"

    @task(isolation="process")
    def cleans_up() -> None:
        try:
            started.write_text("")
            time.sleep(60)
        finally:
            cleaned.write_text("")

    @task(isolation="process")
    def ignores() -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        (tmp_path / "pid").write_text(str(os.getpid()))
        time.sleep(60)

    @task
    def fails() -> None:
        wait_until(lambda: started.exists() and (tmp_path / "pid").exists())
        raise ValueError

    began = time.monotonic()
    with pytest.raises(TaskFailedError) as caught:
        flow(lambda: [cleans_up(), ignores(), fails()], name="cancelled").run_local()
    assert time.monotonic() - began < 5
    assert statuses(caught.value.result) == {"cleans_up": "CANCELLED", "ignores": "CANCELLED", "fails": "FAILED"}
    assert cleaned.exists()
    wait_until(lambda: not is_alive(int((tmp_path / "pid").read_text())))


def test_many_at_once_with_large_arguments_and_results() -> None:
    @task(isolation="process")
    def echo(text: str) -> int:
        return len(text)

    @task(isolation="process")
    def grow(n: int) -> str:
        return "x" * n

    result = flow(lambda: echo.map([grow(2_000_000) for _ in range(6)]), name="large").run_local()
    assert result.value == [2_000_000] * 6


def test_no_process_of_a_run_is_left_over() -> None:
    before = threading.active_count()
    result = flow(lambda: pid(pid()), name="tidy").run_local()
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    assert [child for child in children if is_alive(int(child)) and int(child) in result.outputs.values()] == []
    wait_until(lambda: threading.active_count() <= before)

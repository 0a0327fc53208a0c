"""How a run goes: what starts when, what follows from a failure, and what ends it."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
import time
from typing import Any

import pytest
from sdk_support import record_of, statuses, the_run, wait_until

from dagy import (
    RunContext,
    State,
    TaskFailedError,
    TaskRun,
    TaskTimeoutError,
    flow,
    task,
)
from dagy.engine.execution import Options, execute
from dagy.local import run as run_locally


@task
def ok(*_: object) -> str:
    return "ok"


@task
def fail(*_: object) -> None:
    raise ValueError("no such table")


# --- order


def test_a_ready_task_does_not_wait_for_others_of_its_level() -> None:
    """Two chains of unequal steps: the quick chain ends while the slow one is in its first step."""
    slow_may_end = threading.Event()

    @task
    def slow() -> None:
        assert slow_may_end.wait(10)

    @task
    def quick(_: object = None) -> None: ...

    @task
    def last(_: object) -> None:
        slow_may_end.set()

    @flow
    def two_chains() -> None:
        slow()
        last(quick(quick(quick())))

    assert two_chains.run_local(max_workers=2).status is State.SUCCEEDED


def test_no_more_than_max_workers_run_at_once() -> None:
    now, most, lock = [0], [0], threading.Lock()

    @task
    def counted(_: int) -> None:
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        time.sleep(0.01)
        with lock:
            now[0] -= 1

    @flow
    def many() -> None:
        counted.map(range(20))

    many.run_local(max_workers=3)
    assert most == [3]


def test_a_concurrency_limit_holds_one_task_back_and_no_other() -> None:
    now, most, lock = [0], [0], threading.Lock()
    two_are_in, others_ran = threading.Event(), threading.Event()

    @task(concurrency_limit=2)
    def limited(_: int) -> None:
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
            if now[0] == 2:
                two_are_in.set()
        assert others_ran.wait(10)
        with lock:
            now[0] -= 1

    @task
    def other() -> None:
        assert two_are_in.wait(10)
        others_ran.set()

    @flow
    def mixed() -> None:
        limited.map(range(8))
        other()

    mixed.run_local(max_workers=3)
    assert most == [2]


class InMemory:
    """Another place than files, as a server's child process has one: the engine needs no more than this."""

    max_artifact_bytes = 1000

    def __init__(self) -> None:
        self.runs: list[Any] = []
        self.tasks: dict[str, list[str]] = {}
        self.entries: list[Any] = []

    def run_changed(self, record: Any) -> None:
        self.runs.append(record["status"])

    def task_changed(self, record: Any) -> None:
        self.tasks.setdefault(record["task_id"], []).append(record["status"])

    def log(self, entry: Any) -> None:
        self.entries.append(entry)

    def store_output(self, task_id: str, data: bytes) -> Any:
        return {"path": task_id, "size_bytes": len(data)}

    def store_artifact(self, task_id: str, artifact: Any, name: str) -> Any:
        raise NotImplementedError


@pytest.mark.slow("10,000 tasks")
def test_ten_thousand_tasks_run_and_so_does_a_chain_of_as_many() -> None:
    @flow
    def wide() -> None:
        ok.map(range(10_000))

    @flow
    def deep() -> None:
        output: Any = None
        for _ in range(10_000):
            output = ok(output)

    for made in (wide, deep):
        backend = InMemory()
        result = execute(made, {}, backend, "r1", Options())
        assert len(result.outputs) == 10_000
        assert backend.runs == ["RUNNING", "SUCCEEDED"]
        assert set(map(tuple, backend.tasks.values())) == {("RUNNING", "SUCCEEDED")}


def test_a_backend_that_fails_ends_the_run_and_does_not_leave_it_hanging() -> None:
    class Failing(InMemory):
        def task_changed(self, record: Any) -> None:
            if record["status"] == "SUCCEEDED":
                raise ConnectionError("the pipe is gone")

    with pytest.raises(ConnectionError, match="the pipe is gone"):
        execute(flow(lambda: [ok(), ok()], name="cut off"), {}, Failing(), "r1", Options())


def test_a_watch_that_fails_breaks_nothing() -> None:
    class Watch:
        def run_changed(self, record: Any) -> None: ...

        def task_changed(self, record: Any) -> None:
            raise ValueError("no terminal")

        def logged(self, line: str) -> None: ...

    result = run_locally(flow(lambda: ok(), name="watched"), {}, watch=Watch())
    assert result.status is State.SUCCEEDED
    assert result.warnings == ("what watched the run failed: ValueError: no terminal",)


def test_a_thousand_tasks_leave_all_their_files(local_dir: Any) -> None:
    result = flow(lambda: ok.map(range(1_000)), name="many").run_local()
    assert len(list((local_dir / "artifacts" / result.run_id).glob("*/output.json"))) == 1_000


def test_a_flow_without_tasks_succeeds() -> None:
    result = flow(lambda: 5, name="empty").run_local()
    assert (result.status, result.value, result.task_runs) == (State.SUCCEEDED, 5, {})


def test_two_runs_at_once_keep_apart(local_dir: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    barrier = threading.Barrier(2)

    @task
    def meet(name: str) -> str:
        barrier.wait(10)
        logging.getLogger("app").info("I am %s", name)
        return name

    @flow
    def meeting(name: str) -> Any:
        return meet(name)

    results: dict[str, Any] = {}
    threads = [
        threading.Thread(target=lambda name=name: results.update({name: meeting.run_local(name=name)})) for name in "ab"
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    for name, result in results.items():
        log = (local_dir / "runs" / result.run_id / "run.log").read_text()
        assert result.value == name
        assert log.count("I am") == 1
        assert f"I am {name}" in log


# --- failures


def test_fail_fast_cancels_the_rest_and_raises() -> None:
    let_go = threading.Event()

    @task
    def waits(context: RunContext) -> bool:
        let_go.set()
        return context.wait(20)

    @task
    def fails_meanwhile() -> None:
        assert let_go.wait(10)
        raise ValueError("no such table")

    @flow
    def failing() -> None:
        waits()
        failed = fails_meanwhile()
        ok(ok(failed))
        ok.with_options(name="never")(ok.with_options(name="queued")(waits()))

    with pytest.raises(
        TaskFailedError, match=r"'fails_meanwhile' failed in attempt 1 of 1: ValueError: no such"
    ) as caught:
        failing.run_local(max_workers=2)
    error = caught.value
    assert (error.task_id, error.attempt) == ("fails_meanwhile", 1)
    assert isinstance(error.__cause__, ValueError)
    assert error.result is not None
    assert error.result.status is State.FAILED
    assert statuses(error.result) == {
        "waits": "SUCCEEDED",  # it was asked to stop, and returned
        "fails_meanwhile": "FAILED",
        "ok": "SKIPPED",
        "ok-2": "SKIPPED",
        "waits-2": "CANCELLED",
        "queued": "CANCELLED",
        "never": "CANCELLED",
    }
    assert error.result.task_runs["ok-2"].reason == "upstream 'fails_meanwhile' ended FAILED"
    assert error.result.task_runs["queued"].reason == "task 'fails_meanwhile' failed"


def test_without_fail_fast_independent_branches_go_on() -> None:
    @flow
    def branches() -> Any:
        bad = fail()
        good = ok(ok())
        return [good, ok.with_options(name="after")(bad, good), ok.with_options(name="last")(good)]

    result = branches.run_local(fail_fast=False)
    assert statuses(result) == {
        "fail": "FAILED",
        "ok": "SUCCEEDED",
        "ok-2": "SUCCEEDED",
        "after": "SKIPPED",
        "last": "SUCCEEDED",
    }
    assert result.status is State.FAILED
    assert result.value == ["ok", None, "ok"]
    assert set(result.outputs) == {"ok", "ok-2", "last"}
    assert result.failure is not None
    assert (result.failure["task_id"], result.failure["error_type"]) == ("fail", "ValueError")
    assert "read its log" in result.failure["advice"]


def test_the_traceback_begins_in_the_task() -> None:
    result = flow(lambda: fail(), name="traced").run_local(fail_fast=False)
    lines = result.failure["traceback"].splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert "test_engine.py" in lines[1]
    assert lines[-1] == "ValueError: no such table"


def test_what_leaves_python_is_a_failure_of_the_task_alone() -> None:
    @task
    def leaves() -> None:
        raise SystemExit(3)

    @task
    def recurses(n: int = 0) -> int:
        return recurses.fn(n + 1)

    result = flow(lambda: [leaves(), recurses(), ok()], name="left").run_local(fail_fast=False)
    assert statuses(result) == {"leaves": "FAILED", "recurses": "FAILED", "ok": "SUCCEEDED"}
    assert result.task_runs["recurses"].record["attempts"][0]["error"]["type"] == "RecursionError"
    assert len(result.task_runs["recurses"].record["attempts"][0]["error"]["traceback"]) < 10_000


def test_an_error_of_the_flows_own_code_is_on_record(local_dir: Any) -> None:
    @flow
    def broken() -> None:
        ok()
        raise LookupError("no config")

    with pytest.raises(LookupError, match="no config"):
        broken.run_local()
    record = record_of(the_run(local_dir))
    assert (record["status"], record["reason"]) == ("FAILED", "LookupError: no config")
    assert record["failure"]["task_id"] is None
    assert "before any task began" in record["failure"]["advice"]


# --- retries


def flaky(times: int, **options: Any) -> Any:
    failed: list[float] = []

    @task(**options)
    def flaky_task() -> int:
        failed.append(time.monotonic())
        if len(failed) <= times:
            raise ConnectionError(f"attempt {len(failed)}")
        return len(failed)

    flaky_task.moments = failed
    return flaky_task


def test_retries_keep_each_attempt() -> None:
    result = flow(lambda: flaky(2, retries=3)(), name="retried").run_local()
    task_run = result.task_runs["flaky_task"]
    assert task_run.status is State.SUCCEEDED
    assert [(a["number"], a["status"], a["error"] and a["error"]["message"]) for a in task_run.attempts] == [
        (1, "FAILED", "attempt 1"),
        (2, "FAILED", "attempt 2"),
        (3, "SUCCEEDED", None),
    ]
    assert task_run.attempts[0]["retry_at"] is not None
    assert task_run.error is None


def test_after_the_last_retry_the_task_has_failed() -> None:
    with pytest.raises(TaskFailedError, match=r"in attempt 3 of 3: ConnectionError: attempt 3"):
        flow(lambda: flaky(9, retries=2)(), name="exhausted").run_local()


@pytest.mark.parametrize(
    ("delay", "expected"),
    [
        (0.05, [0.05, 0.05, 0.05]),
        ([0.02, 0.06], [0.02, 0.06, 0.06]),
        (lambda attempt: attempt * 0.03, [0.03, 0.06, 0.09]),
    ],
)
def test_delays_are_a_number_a_list_or_a_function(delay: Any, expected: list[float]) -> None:
    made = flaky(3, retries=3, retry_delay_seconds=delay)
    flow(lambda: made(), name="delayed").run_local()
    waited = [after - before for before, after in zip(made.moments, made.moments[1:], strict=False)]
    assert all(seconds >= least for seconds, least in zip(waited, expected, strict=True))
    assert all(seconds < least + 0.5 for seconds, least in zip(waited, expected, strict=True))


def test_jitter_only_adds_to_a_delay() -> None:
    from dagy.engine.retries import delay_after

    made = flaky(1, retries=1, retry_delay_seconds=10, retry_jitter_factor=0.5)
    delays = [delay_after(made, 1) for _ in range(200)]
    assert 10 <= min(delays) < 11
    assert 14 < max(delays) <= 15


def test_a_condition_says_whether_to_try_again() -> None:
    made = flaky(5, retries=5, retry_condition_fn=lambda error: "attempt 1" in str(error))
    result = flow(lambda: made(), name="conditional").run_local(fail_fast=False)
    assert len(result.task_runs["flaky_task"].attempts) == 2


@pytest.mark.parametrize("option", ["retry_condition_fn", "retry_delay_seconds"])
def test_a_retry_option_that_fails_ends_the_retries(option: str, local_dir: Any) -> None:
    made = flaky(5, retries=5, **{option: lambda _: 1 / 0})
    result = flow(lambda: made(), name="broken").run_local(fail_fast=False)
    assert statuses(result) == {"flaky_task": "FAILED"}
    log = (the_run(local_dir) / "run.log").read_text()
    assert "its retry option failed" in log
    assert "ZeroDivisionError" in log


def test_a_task_that_waits_for_its_retry_gives_its_worker_away() -> None:
    made = flaky(1, retries=1, retry_delay_seconds=0.2)
    ended: list[float] = []

    @task
    def other() -> None:
        ended.append(time.monotonic())

    flow(lambda: (made(), other()), name="gives way").run_local(max_workers=1)
    assert made.moments[0] < ended[0] < made.moments[1]


# --- time-outs


def test_the_run_goes_on_at_the_deadline_of_a_blocking_task() -> None:
    let_go = threading.Event()
    seen: list[bool] = []

    @task(timeout_seconds=0.2)
    def hangs(context: RunContext) -> None:
        let_go.wait(20)
        seen.append(context.cancelled)

    @flow
    def timed() -> None:
        hangs()
        hangs()
        ok()

    began = time.monotonic()
    result = timed.run_local(max_workers=1, fail_fast=False)
    took = time.monotonic() - began
    let_go.set()
    assert statuses(result) == {"hangs": "TIMED_OUT", "hangs-2": "TIMED_OUT", "ok": "SUCCEEDED"}
    assert took < 0.9
    wait_until(lambda: seen == [True, True])


def test_a_timeout_names_task_and_limit_and_is_retried() -> None:
    @task(timeout_seconds=0.05, retries=1)
    def hangs(context: RunContext) -> None:
        context.wait(20)

    with pytest.raises(
        TaskTimeoutError, match=r"'hangs' exceeded its timeout_seconds of 0.05 in attempt 2 of 2"
    ) as caught:
        flow(lambda: hangs(), name="timed").run_local()
    assert isinstance(caught.value, TaskFailedError)
    result = caught.value.result
    assert result is not None
    assert [a["status"] for a in result.task_runs["hangs"].attempts] == ["TIMED_OUT", "TIMED_OUT"]
    assert result.failure is not None
    assert "increase it" in result.failure["advice"]


def test_a_coroutine_past_its_deadline_is_ended() -> None:
    ended = threading.Event()

    @task(timeout_seconds=0.05)
    async def hangs() -> None:
        try:
            await asyncio.sleep(20)
        finally:
            ended.set()

    result = flow(lambda: hangs(), name="timed").run_local(fail_fast=False)
    assert statuses(result) == {"hangs": "TIMED_OUT"}
    assert ended.wait(5)


def test_what_an_abandoned_thread_does_later_changes_nothing(local_dir: Any) -> None:
    let_go, done = threading.Event(), threading.Event()
    problems: list[str] = []

    @task(timeout_seconds=0.05, retries=1)
    def late(context: RunContext) -> str:
        if context.attempt == 2:
            return "second"
        let_go.wait(20)
        try:
            context.artifacts.save("late.txt", "late")
        except Exception as error:
            problems.append(str(error))
        done.set()
        return "first"

    @task
    def lets_go(_: object) -> None:
        let_go.set()
        assert done.wait(10)

    result = flow(lambda: lets_go(late()), name="late").run_local()
    assert result.outputs["late"] == "second"
    assert "is over" in problems[0]
    assert result.task_runs["late"].record["artifacts"] == []


# --- hooks


def test_hooks_are_told_of_each_state() -> None:
    told: list[tuple[str, str, int]] = []

    def hook(kind: str) -> Any:
        return lambda task_run: told.append((kind, task_run.status.value, len(task_run.attempts)))

    hooks = {name: [hook(name)] for name in ("on_running", "on_completion", "on_failure", "on_retry")}
    flow(lambda: flaky(1, retries=1, **hooks)(), name="hooked").run_local()
    assert told == [
        ("on_running", "RUNNING", 1),
        ("on_retry", "PENDING", 1),
        ("on_running", "RUNNING", 2),
        ("on_completion", "SUCCEEDED", 2),
    ]
    told.clear()
    flow(lambda: flaky(9, **hooks)(), name="hooked").run_local(fail_fast=False)
    assert told == [("on_running", "RUNNING", 1), ("on_failure", "FAILED", 1)]


def test_a_hook_that_fails_is_logged_and_breaks_nothing(local_dir: Any) -> None:
    seen: list[TaskRun] = []

    def broken(task_run: TaskRun) -> None:
        raise RuntimeError("pager is down")

    hooked = ok.with_options(on_running=[broken], on_completion=[broken, seen.append])
    assert flow(lambda: hooked(), name="hooked").run_local().status is State.SUCCEEDED
    assert seen[0].output == "ok"
    log = (the_run(local_dir) / "task_runs" / "ok" / "task.log").read_text()
    assert log.count("RuntimeError: pager is down") == 2


# --- cancelling


def test_ctrl_c_cancels_and_leaves_all_files_written(local_dir: Any) -> None:
    waiting = threading.Event()

    @task
    def waits(context: RunContext) -> None:
        waiting.set()
        context.wait(20)
        raise InterruptedError("stopped early")

    @flow
    def long() -> None:
        ok(waits(wait_for=[ok()]))

    threading.Thread(target=lambda: (waiting.wait(10), os.kill(os.getpid(), signal.SIGINT))).start()
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        long.run_local()
    assert signal.getsignal(signal.SIGINT) is before
    record = record_of(the_run(local_dir))
    assert (record["status"], record["reason"]) == ("CANCELLED", "the process was sent SIGINT")
    assert {t["task_id"]: t["status"] for t in record["tasks"]} == {
        "ok": "SUCCEEDED",
        "waits": "CANCELLED",
        "ok-2": "CANCELLED",
    }
    assert record["failure"] is None


def test_a_task_that_does_not_stop_is_left_alone_after_the_grace_time(local_dir: Any) -> None:
    let_go, waiting = threading.Event(), threading.Event()

    @task
    def ignores() -> None:
        waiting.set()
        let_go.wait(60)

    def interrupt() -> None:
        waiting.wait(10)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=interrupt).start()
    began = time.monotonic()
    with pytest.raises(SystemExit) as caught:
        flow(lambda: ignores(), name="stubborn").run_local()
    took = time.monotonic() - began
    let_go.set()
    assert caught.value.code == 143
    assert 1.9 < took < 4
    record = record_of(the_run(local_dir))
    assert record["status"] == "CANCELLED"


def test_the_second_ctrl_c_does_not_wait(local_dir: Any) -> None:
    let_go, waiting = threading.Event(), threading.Event()

    @task
    def ignores() -> None:
        waiting.set()
        let_go.wait(60)

    def interrupt() -> None:
        waiting.wait(10)
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.2)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        flow(lambda: ignores(), name="stubborn").run_local()
    assert time.monotonic() - began < 1.5
    let_go.set()


def test_a_signal_that_another_thread_is_handed_cancels_as_well(local_dir: Any) -> None:
    @task
    def is_handed_it(context: RunContext) -> None:
        signal.pthread_kill(threading.get_ident(), signal.SIGINT)
        assert context.wait(20)
        raise InterruptedError

    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        flow(lambda: is_handed_it(), name="handed").run_local()
    assert time.monotonic() - began < 2


def test_what_a_signal_handler_of_the_programs_own_raises_cancels_the_run(local_dir: Any) -> None:
    class TookTooLong(Exception): ...

    def raise_it(*_: object) -> None:
        raise TookTooLong

    @task
    def waits(context: RunContext) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        context.wait(20)
        raise InterruptedError

    before = signal.signal(signal.SIGALRM, raise_it)
    try:
        with pytest.raises(TookTooLong):
            flow(lambda: waits(), name="alarmed").run_local()
    finally:
        signal.signal(signal.SIGALRM, before)
    record = record_of(the_run(local_dir))
    assert record["status"] == "CANCELLED"
    assert "TookTooLong" in record["reason"]


def test_a_failing_run_does_not_wait_for_a_task_that_does_not_stop() -> None:
    let_go, waiting = threading.Event(), threading.Event()

    @task
    def ignores() -> None:
        waiting.set()
        let_go.wait(60)

    @task
    def fails() -> None:
        waiting.wait(10)
        raise ValueError

    began = time.monotonic()
    with pytest.raises(TaskFailedError) as caught:
        flow(lambda: [ignores(), fails()], name="stubborn").run_local()
    assert time.monotonic() - began < 4
    let_go.set()
    assert caught.value.result is not None
    assert statuses(caught.value.result) == {"ignores": "CANCELLED", "fails": "FAILED"}


def test_max_workers_must_be_a_number_from_one() -> None:
    for wrong in (0, -1, 1.5, True):
        with pytest.raises(ValueError, match="max_workers must be a whole number from 1"):
            flow(lambda: ok(), name="wrong").run_local(max_workers=wrong)  # type: ignore[arg-type]

"""How a run tells of attempts, failures and interruptions."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

from dagy.engine.errors import error_type, message_of
from dagy.errors import TaskFailedError, TaskTimeoutError
from dagy.states import State

if TYPE_CHECKING:
    from dagy.engine.states import Attempt, TaskState
    from dagy.tasks import Task


class Abandoned(Exception):
    """A task that did not end in the grace time, or goes on after its attempt is over."""


def timed_out(task: Task[Any, Any], task_id: str, attempt: int) -> TaskTimeoutError:
    return TaskTimeoutError(
        f"Task {task_id!r} exceeded its timeout_seconds of {task.timeout_seconds:g} in attempt {attempt} of "
        f"{task.retries + 1}: increase it, or make the task faster.",
        task_id=task_id,
        attempt=attempt,
    )


def raised_for(state: TaskState) -> TaskFailedError:
    """The error that a run raises for its first failure; the task's own exception is its cause."""
    error = state.error
    assert error is not None
    attempt = len(state.attempts)
    if isinstance(error, TaskFailedError) and error.task_id == state.task_id:
        error.attempt = attempt
        return error
    failed = TaskFailedError(
        f"Task {state.task_id!r} failed in attempt {attempt} of {state.max_attempts}: "
        f"{error_type(error)}: {message_of(error)}. Read its log: dagy logs {state.run_id} --task {state.task_id}",
        task_id=state.task_id,
        attempt=attempt,
    )
    failed.__cause__ = error
    return failed


def fate(code: int) -> str:
    """What is known of a process that ended before its work was done, by its exit code (-9: by SIGKILL)."""
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        return f"was ended by signal {-code}"
    return f"was ended by {name}{', likely because memory ran out' if name == 'SIGKILL' else ''}"


def why_cancelled(interruption: BaseException) -> str:
    if isinstance(interruption, KeyboardInterrupt):
        return "the process was sent SIGINT"
    if isinstance(interruption, SystemExit):
        return "the process was sent SIGTERM"
    return f"interrupted by {error_type(interruption)}"


def of_attempts(state: TaskState, attempt: Attempt) -> str:
    return "" if state.max_attempts == 1 else f" (attempt {attempt.number} of {state.max_attempts})"


def failed_how(state: TaskState, attempt: Attempt) -> str:
    """The line that says so, before the traceback."""
    how = "Timed out" if state.attempts[-1]["status"] == State.TIMED_OUT else "Failed"
    return f"{how}{of_attempts(state, attempt)}"


def traceback_lines(state: TaskState) -> str:
    error = state.attempts[-1]["error"]
    return error["traceback"].rstrip() if error else ""


def in_seconds(number: float | None) -> str:
    return f"{number or 0:.3g} s"

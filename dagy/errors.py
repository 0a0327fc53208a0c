"""What can go wrong, by name, and what to do about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dagy.results import RunResult

ADVICE = {
    "TaskTimeoutError": "The task exceeded timeout_seconds: increase it, or make the task faster.",
    "TaskFailedError": "The task raised: read its log, and the traceback.",
    "DependencyCycleError": "Tasks wait for one another: review the depends_on graph.",
    "ArtifactSerializationError": "Return serializable data (what JSON has), or a LocalArtifact.",
}
"""Failure pattern → what to do. Any other error's type counts as `TaskFailedError`."""


class DagyError(Exception):
    """The base of all errors that are Dagy's own."""


class TaskFailedError(DagyError):
    """A task failed after its last attempt; the exception that it raised is the `__cause__`.

    `task_id` and `attempt` (from 1) say where. `result` is the whole run's, once it has ended.
    """

    def __init__(self, message: str, *, task_id: str | None = None, attempt: int | None = None) -> None:
        super().__init__(message)
        self.task_id = task_id
        self.attempt = attempt
        self.result: RunResult | None = None


class TaskTimeoutError(TaskFailedError):
    """An attempt ran longer than `timeout_seconds`. It is retried like any failure."""


class ArtifactSerializationError(TaskFailedError):
    """A task returned what can't be stored: not JSON, or too large."""


class DependencyCycleError(DagyError):
    """Tasks wait for one another. `cycle` holds their ids, the first one again at the end."""

    def __init__(self, cycle: Sequence[str]) -> None:
        self.cycle = list(cycle)
        super().__init__(
            f"These tasks wait for one another: {' -> '.join(self.cycle)}. Nothing was run: "
            "take one of these edges out (an argument, wait_for, or depends_on)."
        )


class ParameterError(DagyError, ValueError):
    """Parameters that a flow or a task can't be called with. `errors` maps a parameter's name to what is wrong."""

    def __init__(self, subject: str, errors: dict[str, str]) -> None:
        self.errors = errors
        listed = "; ".join(f"{name}: {problem}" for name, problem in errors.items())
        super().__init__(f"{subject} can't be called with these parameters. {listed}.")


class OutsideFlowError(DagyError, RuntimeError):
    """A task was called where no flow is being built, or its output was used before it has run."""


class LocalStorageError(DagyError, OSError):
    """The local directory can't be written to."""


class RunNotFound(DagyError, LookupError):
    """There is no such local run or task, or more than one that is meant."""


class FlowLoadError(DagyError):
    """A flow's file can't be imported, or holds no such flow."""


def pattern_of(error_type: str) -> str:
    """The failure pattern, a key of `ADVICE`, that an error's type belongs to."""
    return error_type if error_type in ADVICE else "TaskFailedError"

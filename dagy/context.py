"""What a task can know of its run, and do for it: `RunContext`."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING

from dagy.errors import OutsideFlowError

if TYPE_CHECKING:
    import logging
    import threading
    from collections.abc import Callable

    from dagy.artifacts import Artifacts

_current: ContextVar[RunContext | None] = ContextVar("dagy_run_context", default=None)


class RunContext:
    """In reach of a task as `RunContext.current()`, or as the argument that is annotated with it.

    `attempt` counts from 1. In the flow's own code, `task_id`, `task_name` and `attempt` are None, and there is
    nothing to save artifacts to. Threads that a task starts see it only in a copy of the task's `contextvars` context.
    """

    def __init__(
        self,
        *,
        run_id: str,
        flow_name: str,
        task_id: str | None = None,
        task_name: str | None = None,
        attempt: int | None = None,
        log: Callable[[str, str | None, str], None],
        stop: threading.Event,
        artifacts: Artifacts | None = None,
        log_prints: bool = False,
    ) -> None:
        self.run_id = run_id
        self.flow_name = flow_name
        self.task_id = task_id
        self.task_name = task_name
        self.attempt = attempt
        self.log_prints = log_prints
        self._log = log
        self._stop = stop
        self._artifacts = artifacts

    @classmethod
    def current(cls) -> RunContext:
        """The context of the task, or the flow, whose code is running. Raises OutsideFlowError where there is none."""
        context = _current.get()
        if context is None:
            raise OutsideFlowError(
                "There is no RunContext here: it exists in the code of tasks and flows while they run."
            )
        return context

    @property
    def logger(self) -> logging.Logger:
        """A logger whose entries go to the run's log; so do those of any other logger."""
        from dagy.engine.logs import task_logger

        return task_logger(self.task_name)

    @property
    def artifacts(self) -> Artifacts:
        if self._artifacts is None:
            raise OutsideFlowError("Artifacts belong to tasks: save them in a task, not in the flow's own code.")
        return self._artifacts

    @property
    def cancelled(self) -> bool:
        """Whether this attempt should stop: the run is being cancelled, or its time is over."""
        return self._stop.is_set()

    def wait(self, seconds: float) -> bool:
        """Sleep, but wake at once when the attempt should stop. Returns `cancelled`."""
        return self._stop.wait(seconds)

    def write(self, level: str, message: str) -> None:
        """Add an entry to the run's log, past `logging` and its levels."""
        self._log(level, self.task_id, message)

    def __repr__(self) -> str:
        return f"<RunContext of {self.task_id or self.flow_name!r} in run {self.run_id}>"


def current_context() -> RunContext | None:
    return _current.get()


def set_context(context: RunContext | None) -> None:
    """For this thread (and what it starts by copies of its context)."""
    _current.set(context)

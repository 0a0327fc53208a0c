"""What the engine knows of a task while the run goes on, and its records."""

from __future__ import annotations

import os
import traceback
from typing import TYPE_CHECKING, Any

from dagy.errors import TaskTimeoutError
from dagy.records import SCHEMA_VERSION
from dagy.results import TaskRun
from dagy.states import State

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable
    from types import TracebackType

    from dagy.graph import Node
    from dagy.records import ArtifactRecord, AttemptRecord, ErrorRecord, OutputRecord, TaskRunRecord, TaskSummary
    from dagy.tasks import Task

_OURS = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_ASYNCIO = os.sep + "asyncio" + os.sep


class Attempt:
    """One attempt that goes on. Whoever sets `closed`, under the run's lock, says how it ended: its thread, or the
    main thread at a deadline, which then abandons the thread."""

    __slots__ = ("began", "closed", "number", "on_stop", "stop")

    def __init__(self, number: int, began: float, stop: threading.Event) -> None:
        self.number = number
        self.began = began
        self.stop = stop
        self.closed = False
        self.on_stop: Callable[[bool], None] | None = None
        """Ends what the attempt waits for: softly, or (True) for good."""

    def end(self, *, hard: bool) -> None:
        self.stop.set()
        if self.on_stop is not None:
            self.on_stop(hard)


class TaskState:
    __slots__ = (
        "artifacts",
        "attempt",
        "attempts",
        "began",
        "downstream",
        "ended",
        "error",
        "node",
        "output",
        "output_record",
        "reason",
        "run_id",
        "status",
        "text",
        "waiting",
    )

    def __init__(self, node: Node, run_id: str, text: Callable[[float], str]) -> None:
        self.node = node
        self.run_id = run_id
        self.text = text
        self.status = State.PENDING
        self.reason: str | None = None
        self.waiting = len(node.upstream)
        self.downstream: list[TaskState] = []
        self.attempt: Attempt | None = None
        self.attempts: list[AttemptRecord] = []
        self.artifacts: dict[str, ArtifactRecord] = {}
        self.output: Any = None
        self.output_record: OutputRecord | None = None
        self.error: BaseException | None = None
        self.began: float | None = None
        self.ended: float | None = None

    @property
    def task_id(self) -> str:
        return self.node.task_id

    @property
    def max_attempts(self) -> int:
        return self.node.task.retries + 1

    def end(self, status: State, moment: float, reason: str | None = None) -> None:
        self.status = status
        self.reason = reason
        if self.began is not None:
            self.ended = moment

    def record(self) -> TaskRunRecord:
        task = self.node.task
        return {
            "schema_version": SCHEMA_VERSION,
            "run_id": self.run_id,
            "task_id": self.task_id,
            "name": task.name,
            "status": self.status.value,
            "reason": self.reason,
            "depends_on": list(self.node.upstream),
            "max_attempts": self.max_attempts,
            "timeout_seconds": task.timeout_seconds,
            "isolation": task.isolation,
            "started_at": None if self.began is None else self.text(self.began),
            "ended_at": None if self.ended is None else self.text(self.ended),
            "duration_seconds": self._duration(),
            "attempts": list(self.attempts),
            "output": self.output_record,
            "artifacts": list(self.artifacts.values()),
        }

    def summary(self) -> TaskSummary:
        return {
            "task_id": self.task_id,
            "name": self.node.task.name,
            "depends_on": list(self.node.upstream),
            "status": self.status.value,
            "attempts": len(self.attempts),
            "started_at": None if self.began is None else self.text(self.began),
            "ended_at": None if self.ended is None else self.text(self.ended),
            "duration_seconds": self._duration(),
            "error_type": None if self.error is None else error_type(self.error),
            "reason": self.reason,
        }

    def task_run(self) -> TaskRun:
        return TaskRun(self.record(), self.task_id, self.node.task.name, self.status, self.output, self.error)

    def _duration(self) -> float | None:
        return None if self.began is None or self.ended is None else round(self.ended - self.began, 6)


def timed_out(task: Task[Any, Any], task_id: str, attempt: int) -> TaskTimeoutError:
    return TaskTimeoutError(
        f"Task {task_id!r} exceeded its timeout_seconds of {task.timeout_seconds:g} in attempt {attempt} of "
        f"{task.retries + 1}: increase it, or make the task faster.",
        task_id=task_id,
        attempt=attempt,
    )


def error_record(error: BaseException) -> ErrorRecord:
    return {"type": error_type(error), "message": message_of(error), "traceback": traceback_of(error)}


def error_type(error: BaseException) -> str:
    return getattr(error, "dagy_type", None) or type(error).__qualname__


def message_of(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:
        return f"<{type(error).__qualname__}, whose message can't be read>"


def traceback_of(error: BaseException) -> str:
    """As Python prints it, without Dagy's own frames at its beginning."""
    remote: str | None = getattr(error, "dagy_traceback", None)
    if remote is not None:
        return remote
    try:
        return "".join(traceback.format_exception(type(error), error, _users_part(error.__traceback__)))
    except Exception:
        return f"{type(error).__qualname__}: (its traceback can't be printed)\n"


def _users_part(tb: TracebackType | None) -> TracebackType | None:
    own = tb
    while own is not None and _is_machinery(own.tb_frame.f_code.co_filename):
        own = own.tb_next
    return own


def _is_machinery(filename: str) -> bool:
    return filename.startswith(_OURS) or _ASYNCIO in filename

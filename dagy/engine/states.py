"""What the engine knows of a task while the run goes on, and its records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dagy.engine.errors import error_type
from dagy.records import SCHEMA_VERSION
from dagy.results import TaskRun
from dagy.states import State

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from dagy.graph import Node
    from dagy.records import ArtifactRecord, AttemptRecord, OutputRecord, TaskRunRecord, TaskSummary


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

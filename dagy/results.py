"""What a run came to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dagy.states import State

if TYPE_CHECKING:
    from dagy.records import AttemptRecord, FailureRecord, RunRecord, TaskRunRecord


@dataclass(frozen=True, slots=True)
class TaskRun:
    """One task of a run, as it is at the moment it was asked for. Hooks get one, too.

    `output` is what the task returned, `error` the exception of its last attempt.
    """

    record: TaskRunRecord = field(repr=False)
    task_id: str
    name: str
    status: State
    output: Any = field(default=None, repr=False)
    error: BaseException | None = None

    @property
    def run_id(self) -> str:
        return self.record["run_id"]

    @property
    def depends_on(self) -> list[str]:
        return self.record["depends_on"]

    @property
    def attempts(self) -> list[AttemptRecord]:
        return self.record["attempts"]

    @property
    def duration_seconds(self) -> float | None:
        return self.record["duration_seconds"]

    @property
    def reason(self) -> str | None:
        return self.record["reason"]


@dataclass(frozen=True, slots=True)
class RunResult:
    """`outputs` and `task_runs` are by task id; only tasks that succeeded have an output.

    `value` is what the flow's function returned, with the tasks' outputs in place. `warnings` says what could not be
    kept on disk. `interruption` is what cancelled the run, if anything did: KeyboardInterrupt after Ctrl-C.
    """

    run_id: str
    status: State
    outputs: dict[str, Any] = field(repr=False)
    task_runs: dict[str, TaskRun] = field(repr=False)
    value: Any = field(repr=False)
    record: RunRecord = field(repr=False)
    error: BaseException | None = None
    warnings: tuple[str, ...] = ()
    interruption: BaseException | None = None

    @property
    def failure(self) -> FailureRecord | None:
        """The first failure: which task, which error, what to do."""
        return self.record["failure"]

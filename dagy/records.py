"""What is kept of a run and of its task runs: the shapes of the `metadata.json` files, field by field.

Times are RFC 3339 in UTC with microseconds and `Z`, durations seconds by a clock that never steps back.
`docs/schemas/` says the same as JSON Schema.
"""

from __future__ import annotations

from typing import Any, TypedDict

SCHEMA_VERSION = 1
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
"""Of log entries, least first."""


def log_line(time: str, level: str, task_id: str | None, message: str) -> str:
    """`<time> <level> [<task id, or ->] <message>`; further lines of the message are indented by four spaces."""
    if "\n" in message:
        message = message.replace("\r\n", "\n").replace("\n", "\n    ")
    return f"{time} {level:<8} [{task_id or '-'}] {message}"


class ErrorRecord(TypedDict):
    type: str
    message: str
    traceback: str


class FailureRecord(TypedDict):
    """The first failure of a run. Without a task (a cycle, an error of the flow's own code), `task_id` is None."""

    task_id: str | None
    attempt: int | None
    error_type: str
    message: str
    traceback: str
    advice: str


class FlowRecord(TypedDict):
    name: str
    version: str | None
    source: str | None
    """`/path/to/file.py:function`, where it is known."""


class ProcessRecord(TypedDict):
    pid: int
    host: str
    python: str
    dagy: str


class OptionsRecord(TypedDict):
    max_workers: int
    fail_fast: bool


class TaskSummary(TypedDict):
    """A task in its run's record: its place in the graph, and how it ended."""

    task_id: str
    name: str
    depends_on: list[str]
    status: str
    attempts: int
    started_at: str | None
    ended_at: str | None
    duration_seconds: float | None
    error_type: str | None
    reason: str | None


class RunRecord(TypedDict):
    """`runs/<run_id>/metadata.json`. While the run goes on, the tasks' own files know more than `tasks` here."""

    schema_version: int
    run_id: str
    flow: FlowRecord
    status: str
    reason: str | None
    trigger: str
    parameters: dict[str, Any]
    started_at: str
    ended_at: str | None
    duration_seconds: float | None
    options: OptionsRecord
    process: ProcessRecord
    failure: FailureRecord | None
    tasks: list[TaskSummary]


class AttemptRecord(TypedDict):
    number: int
    status: str
    started_at: str
    ended_at: str | None
    duration_seconds: float | None
    error: ErrorRecord | None
    retry_at: str | None
    """When the next attempt begins, where one follows."""


class OutputRecord(TypedDict):
    path: str
    """Below the local directory: `artifacts/<run_id>/<task_id>/output.json`."""
    size_bytes: int


class ArtifactRecord(TypedDict):
    name: str
    path: str
    size_bytes: int
    content_type: str
    sha256: str


class TaskRunRecord(TypedDict):
    """`runs/<run_id>/task_runs/<task_id>/metadata.json`. A task that never began has none."""

    schema_version: int
    run_id: str
    task_id: str
    name: str
    status: str
    reason: str | None
    depends_on: list[str]
    max_attempts: int
    timeout_seconds: float | None
    isolation: str
    started_at: str | None
    ended_at: str | None
    duration_seconds: float | None
    attempts: list[AttemptRecord]
    output: OutputRecord | None
    artifacts: list[ArtifactRecord]

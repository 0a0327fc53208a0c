"""Where what a run leaves behind goes: to files (`dagy.local`), or over a pipe to a parent process."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from dagy.artifacts import LocalArtifact
    from dagy.records import ArtifactRecord, OutputRecord, RunRecord, TaskRunRecord


class LogEntry(NamedTuple):
    time: str
    """RFC 3339 in UTC."""
    level: str
    task_id: str | None
    """None: of the run itself."""
    message: str


class Backend(Protocol):
    """The engine calls these from several threads at once, in the order of what happened to each task.

    An OSError of `run_changed`, `task_changed` and `log` is the backend's to handle: the run goes on. One of the
    others fails the task whose output could not be kept.
    """

    max_artifact_bytes: int

    def run_changed(self, record: RunRecord) -> None: ...

    def task_changed(self, record: TaskRunRecord) -> None: ...

    def log(self, entry: LogEntry) -> None: ...

    def store_output(self, task_id: str, data: bytes) -> OutputRecord: ...

    def store_artifact(self, task_id: str, artifact: LocalArtifact, name: str) -> ArtifactRecord:
        """Keep a copy; may set `artifact.path` to where it lies from now on."""
        ...

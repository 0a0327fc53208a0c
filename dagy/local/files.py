"""The files of a run on this machine, written so that a killed process leaves files that read.

Records are replaced by rename. Logs are appended to. Few system calls a task: two directories, a log that is open
while the task goes on, two records, an output.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import threading
from typing import TYPE_CHECKING, Any

from dagy.artifacts import OUTPUT_NAME, LocalArtifact, checked_size
from dagy.errors import LocalStorageError
from dagy.local import places
from dagy.local.writing import replace, replace_by_pieces
from dagy.records import log_line
from dagy.states import State

if TYPE_CHECKING:
    from dagy.backend import LogEntry
    from dagy.local import Watch
    from dagy.records import ArtifactRecord, OutputRecord, RunRecord, TaskRunRecord

DEFAULT_MAX_ARTIFACT_BYTES = 5_242_880
_RAISE_THE_LIMIT = ", or raise DAGY_LOCAL_ARTIFACT_MAX_BYTES"
_LOG = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_CLOEXEC", 0)


class FilesBackend:
    """Makes the run's directory and holds the lock on its log, which tells readers that the run goes on.

    Raises LocalStorageError where the local directory can't be written to. What can't be written later (a full disk)
    is said once on stderr, and kept in `warnings`.
    """

    def __init__(self, run_id: str, *, watch: Watch | None = None) -> None:
        self.run_id = run_id
        self.max_artifact_bytes = _max_artifact_bytes()
        self.warnings: list[str] = []
        self._watch = watch
        self._echo = os.environ.get("DAGY_LOCAL_VERBOSE", "").strip().lower() not in ("", "0", "false", "no")
        self._lock = threading.Lock()
        self._task_logs: dict[str, int] = {}
        self._made: set[str] = set()
        base = places.local_dir()
        self._base = str(base)
        self._run = str(places.run_dir(run_id))
        self._artifacts = f"{self._base}/artifacts/{run_id}"
        try:
            for directory in (base, base / "runs", base / "artifacts"):
                directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            for made in (self._run, f"{self._run}/task_runs", self._artifacts):
                os.mkdir(made, 0o700)
            self._run_log = os.open(f"{self._run}/run.log", _LOG, 0o600)
            _hold(self._run_log)
        except OSError as error:
            raise LocalStorageError(
                f"{self._base} can't be written to ({error.strerror}): set DAGY_LOCAL_DIR to a directory that can."
            ) from error

    def close(self) -> None:
        with self._lock:
            for descriptor in (*self._task_logs.values(), self._run_log):
                os.close(descriptor)
            self._task_logs.clear()
            self._run_log = -1

    def run_changed(self, record: RunRecord) -> None:
        self._replace(f"{self._run}/metadata.json", record)
        self._show("run_changed", record)

    def task_changed(self, record: TaskRunRecord) -> None:
        self._replace(f"{self._task_dir(record['task_id'])}/metadata.json", record)
        if State(record["status"]).is_final:
            self._close_log(record["task_id"])
        self._show("task_changed", record)

    def log(self, entry: LogEntry) -> None:
        line = log_line(*entry)
        data = (line + "\n").encode("utf-8", "backslashreplace")
        with self._lock:
            if self._run_log < 0:
                return
            try:
                os.write(self._run_log, data)
                if entry.task_id is not None:
                    self._write_task_log(entry.task_id, data)
            except OSError as error:
                self._warn(error)
        if self._echo:
            print(line, file=sys.stderr)  # noqa: T201
        self._show("logged", line)

    def store_output(self, task_id: str, data: bytes) -> OutputRecord:
        path = f"{self._artifact_dir(task_id)}/{OUTPUT_NAME}"
        try:
            replace(path, data)
        except OSError as error:
            raise _unkept(f"The output of task {task_id!r}", error) from error
        return {"path": self._relative(path), "size_bytes": len(data)}

    def store_artifact(self, task_id: str, artifact: LocalArtifact, name: str) -> ArtifactRecord:
        path = f"{self._artifact_dir(task_id)}/{name}"
        try:
            size = checked_size(task_id, artifact, name, self.max_artifact_bytes, _RAISE_THE_LIMIT)
            digest = _copy(artifact, path)
        except OSError as error:
            raise _unkept(f"Artifact {name!r} of task {task_id!r}", error) from error
        artifact.path = path
        return {
            "name": name,
            "path": self._relative(path),
            "size_bytes": size,
            "content_type": artifact.content_type,
            "sha256": digest,
        }

    def _show(self, what: str, content: Any) -> None:
        """A watch that fails is left out from then on: it must not break the run."""
        if self._watch is None:
            return
        try:
            getattr(self._watch, what)(content)
        except Exception as error:  # noqa: BLE001
            self._watch = None
            self.warnings.append(f"what watched the run failed: {type(error).__name__}: {error}")

    def _relative(self, path: str) -> str:
        return path[len(self._base) + 1 :]

    def _task_dir(self, task_id: str) -> str:
        return self._directory(f"{self._run}/task_runs/{task_id}")

    def _artifact_dir(self, task_id: str) -> str:
        return self._directory(f"{self._artifacts}/{task_id}")

    def _directory(self, path: str) -> str:
        if path not in self._made:
            try:
                os.mkdir(path, 0o700)
            except FileExistsError:
                pass
            except OSError as error:
                self._warn(error)
                return path
            self._made.add(path)
        return path

    def _write_task_log(self, task_id: str, data: bytes) -> None:
        """With the lock held, so that no descriptor is written to after it was closed."""
        descriptor = self._task_logs.get(task_id)
        if descriptor is None:
            descriptor = os.open(f"{self._task_dir(task_id)}/task.log", _LOG, 0o600)
            self._task_logs[task_id] = descriptor
        os.write(descriptor, data)

    def _close_log(self, task_id: str) -> None:
        with self._lock:
            descriptor = self._task_logs.pop(task_id, None)
            if descriptor is not None:
                os.close(descriptor)

    def _replace(self, path: str, record: Any) -> None:
        try:
            replace(path, json.dumps(record, ensure_ascii=False, default=repr).encode("utf-8", "backslashreplace"))
        except OSError as error:
            self._warn(error)

    def _warn(self, error: OSError) -> None:
        if not self.warnings:
            print(f"dagy: run {self.run_id}: its files are incomplete ({error.strerror}).", file=sys.stderr)  # noqa: T201
        self.warnings.append(f"{error.filename or self._run}: {error.strerror}"[:300])


def _copy(artifact: LocalArtifact, path: str) -> str:
    """Copy to `path`, by rename; returns the SHA-256 of what was copied."""
    digest = hashlib.sha256()

    def seen(part: bytes) -> bytes:
        digest.update(part)
        return part

    replace_by_pieces(path, map(seen, artifact.pieces()))
    return digest.hexdigest()


def _hold(descriptor: int) -> None:
    """Until the process ends, however it does. Readers see by it that a run without an end goes on."""
    try:
        import fcntl
    except ImportError:  # Windows: readers look for the process instead
        return
    fcntl.flock(descriptor, fcntl.LOCK_EX)  # a reader that looks for it holds it for microseconds


def _max_artifact_bytes() -> int:
    text = os.environ.get("DAGY_LOCAL_ARTIFACT_MAX_BYTES", "").strip()
    if not text:
        return DEFAULT_MAX_ARTIFACT_BYTES
    if not text.isdigit():
        raise LocalStorageError(f"DAGY_LOCAL_ARTIFACT_MAX_BYTES must be a number of bytes, not {text!r}.")
    return int(text)


def _unkept(what: str, error: OSError) -> LocalStorageError:
    return LocalStorageError(
        f"{what} could not be kept ({error.strerror or error}): free some space, or set DAGY_LOCAL_DIR to another disk."
    )

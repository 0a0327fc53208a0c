"""The files of runs, read: also while a run goes on, and after its process was killed."""

from __future__ import annotations

import json
import os
import re
import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from dagy.errors import RunNotFound
from dagy.local import places
from dagy.local.writing import replace
from dagy.records import LEVELS, log_line
from dagy.states import FINAL, State

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dagy.records import RunRecord, TaskRunRecord, TaskSummary

LOST = "ProcessLost"
LOST_ADVICE = (
    "The process ended without saying so: killed (kill -9, out of memory), crashed by a library, or the machine went "
    'down. Look at the tasks that were running; isolation="process" keeps such a crash to one task.'
)
_ENTRY = re.compile(r"(\S+Z) (\w+) +\[([^\]]*)\] (.*)", re.DOTALL)


class LoggedEntry(NamedTuple):
    time: str
    level: str
    source: str
    """A task id, or `-` for the run itself."""
    message: str

    @property
    def line(self) -> str:
        return log_line(self.time, self.level, self.source, self.message)


def find_run(text: str | None) -> str:
    """A run's id from the whole id, its unique beginning or end, or `latest` (None as well). Raises RunNotFound."""
    try:
        ids = sorted(entry.name for entry in (places.local_dir() / "runs").iterdir() if not entry.name.startswith("."))
    except FileNotFoundError:
        ids = []
    if not ids:
        raise RunNotFound(f"There are no runs in {places.local_dir()}: start one with `dagy run path.py:flow`.")
    if text is None or text == "latest":
        return ids[-1]
    if text in ids:
        return text
    found = [run_id for run_id in ids if run_id.startswith(text) or run_id.endswith(text)]
    if len(found) == 1:
        return found[0]
    if not found:
        raise RunNotFound(f"There is no run {text!r} in {places.local_dir()}: see `dagy runs list`.")
    listed = ", ".join(found[-5:])
    raise RunNotFound(f"{text!r} may be any of {len(found)} runs ({listed}): give more of the id.")


def read_run(run_id: str) -> RunRecord:
    """A run's record, as it is now: a run that goes on has the states of its tasks' own files, one whose process is
    gone is FAILED (and put on record as that, where its files can be written).

    Raises RunNotFound, also where its record is not readable.
    """
    record = readable(run_id)
    if record is None:
        raise RunNotFound(f"The record of run {run_id} can't be read: {places.run_dir(run_id) / 'metadata.json'}.")
    if record["status"] not in FINAL:
        record["tasks"] = [_refreshed(run_id, task) for task in record["tasks"]]
    return record


def readable(run_id: str) -> RunRecord | None:
    record = _run_record(run_id)
    if record is None or record["status"] in FINAL or goes_on(run_id):
        return record
    settled = _run_record(run_id)  # it may have ended between the two looks
    return settled if settled is None or settled["status"] in FINAL else _settle(run_id, settled)


def read_task_run(run_id: str, task_id: str) -> TaskRunRecord | None:
    """None where the task has not begun, or its record is not readable."""
    path = places.task_dir(run_id, task_id) / "metadata.json"
    return cast("TaskRunRecord | None", _read_json(path, ("task_id", "status", "attempts")))


def goes_on(run_id: str) -> bool:
    """Whether the run's process lives: it holds the lock on its log."""
    path = places.run_dir(run_id) / "run.log"
    try:
        import fcntl
    except ImportError:
        return _pid_lives(run_id)
    try:
        with path.open("rb") as log:
            fcntl.flock(log, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def read_log(run_id: str, task_id: str | None = None, level: str | None = None) -> list[LoggedEntry]:
    """The log's entries; `level` is the least. Raises RunNotFound where a task has no log."""
    path = _log_path(run_id, task_id)
    try:
        text = path.read_text("utf-8", "replace")
    except FileNotFoundError:
        if task_id is None:
            return []
        raise RunNotFound(f"Task {task_id!r} of run {run_id} has no log: see `dagy runs show {run_id}`.") from None
    return [entry for entry in entries_of(text) if _is_at_least(entry, level)]


def follow_log(
    run_id: str, task_id: str | None = None, level: str | None = None, interval: float = 0.2
) -> Iterator[LoggedEntry]:
    """What is in the log and what comes, until the run has ended."""
    path = _log_path(run_id, task_id)
    position, rest, last = 0, "", False
    while True:
        last = last or not goes_on(run_id)
        with suppress(FileNotFoundError), path.open("rb") as log:
            log.seek(position)
            data = log.read()
            position += len(data)
            whole, newline, part = (rest + data.decode("utf-8", "replace")).rpartition("\n")
            text, rest = whole + newline, part
            yield from (entry for entry in entries_of(text) if _is_at_least(entry, level))
        if last:
            return
        last = not goes_on(run_id)
        time.sleep(0.0 if last else interval)


def entries_of(text: str) -> Iterator[LoggedEntry]:
    """Lines that begin with white space belong to the entry above; what is no entry is one of level INFO."""
    block: list[str] = []
    for line in text.split("\n"):
        if block and line.startswith("    "):
            block.append(line[4:])
            continue
        if block:
            yield _entry("\n".join(block))
        block = [line] if line else []
    if block:
        yield _entry("\n".join(block))


def _entry(text: str) -> LoggedEntry:
    match = _ENTRY.fullmatch(text)
    return LoggedEntry(*match.groups()) if match else LoggedEntry("", "INFO", "-", text)


def _is_at_least(entry: LoggedEntry, level: str | None) -> bool:
    if level is None:
        return True
    return entry.level not in LEVELS or LEVELS.index(entry.level) >= LEVELS.index(level)


def _log_path(run_id: str, task_id: str | None) -> Path:
    return places.run_dir(run_id) / "run.log" if task_id is None else places.task_dir(run_id, task_id) / "task.log"


# --- records


def _run_record(run_id: str) -> RunRecord | None:
    path = places.run_dir(run_id) / "metadata.json"
    return cast("RunRecord | None", _read_json(path, ("run_id", "flow", "status", "started_at", "tasks")))


def _read_json(path: Path, keys: tuple[str, ...]) -> dict[str, Any] | None:
    """What another program wrote there, or a version to come, is no record."""
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) and all(key in found for key in keys) else None


def _refreshed(run_id: str, task: TaskSummary) -> TaskSummary:
    if task["status"] in FINAL:
        return task
    known = read_task_run(run_id, task["task_id"])
    return task if known is None else brought_up_to_date(task, known)


def brought_up_to_date(task: TaskSummary, known: TaskRunRecord) -> TaskSummary:
    """A task of a run's record with what its own record says."""
    error = known["attempts"][-1]["error"] if known["attempts"] else None
    return {
        **task,
        "status": known["status"],
        "attempts": len(known["attempts"]),
        "started_at": known["started_at"],
        "ended_at": known["ended_at"],
        "duration_seconds": known["duration_seconds"],
        "error_type": error["type"] if error else None,
        "reason": known["reason"],
    }


# --- runs whose process is gone


def _settle(run_id: str, record: RunRecord) -> RunRecord:
    process = record["process"]
    reason = f"process lost: process {process['pid']} on {process['host']} ended without saying so"
    ended_at, duration = _last_sign(run_id, record)
    tasks = [_settled_task(run_id, _refreshed(run_id, task), reason, ended_at) for task in record["tasks"]]
    culprit = next((task for task in tasks if task["reason"] == reason), None)
    settled: RunRecord = {
        **record,
        "status": State.FAILED.value,
        "reason": reason,
        "ended_at": ended_at,
        "duration_seconds": duration,
        "tasks": tasks,
        "failure": record["failure"]
        or {
            "task_id": culprit and culprit["task_id"],
            "attempt": culprit and culprit["attempts"],
            "error_type": LOST,
            "message": reason,
            "traceback": "",
            "advice": LOST_ADVICE,
        },
    }
    with suppress(OSError):  # somebody else's, or read-only: it is shown so all the same
        _replace(places.run_dir(run_id) / "metadata.json", settled)
    return settled


def _settled_task(run_id: str, task: TaskSummary, reason: str, ended_at: str) -> TaskSummary:
    if task["status"] in FINAL:
        return task
    ran = task["status"] == State.RUNNING
    told = reason if ran else "the run's process was lost"
    status = State.FAILED.value if ran else State.CANCELLED.value
    known = read_task_run(run_id, task["task_id"])
    if known is not None:
        known["status"], known["reason"], known["ended_at"] = status, told, ended_at
        for attempt in known["attempts"]:
            if attempt["status"] == State.RUNNING:
                attempt["status"], attempt["ended_at"] = status, ended_at
        with suppress(OSError):
            _replace(places.task_dir(run_id, task["task_id"]) / "metadata.json", known)
    return {
        **task,
        "status": status,
        "reason": told,
        "ended_at": ended_at if ran else None,
        "error_type": LOST if ran else None,
    }


def _last_sign(run_id: str, record: RunRecord) -> tuple[str, float | None]:
    """When the log was last written to: later than that the process did not say anything."""
    try:
        moment = datetime.fromtimestamp((places.run_dir(run_id) / "run.log").stat().st_mtime, UTC)
        began = datetime.fromisoformat(record["started_at"])
    except (OSError, ValueError):
        return record["started_at"], None
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ"), max(0.0, round((moment - began).total_seconds(), 6))


def _replace(path: Path, record: Any) -> None:
    replace(str(path), json.dumps(record, ensure_ascii=False).encode("utf-8", "backslashreplace"))


def _pid_lives(run_id: str) -> bool:
    record = _run_record(run_id)
    try:
        os.kill(record["process"]["pid"] if record else 0, 0)
    except OSError:
        return False
    return record is not None

"""What a run's process tells, on its way into the database: believed only in a form that is known, written in batches.

Log lines go by COPY. A batch is one transaction, under the lease of the worker that reads: one that has lost it writes
nothing more. A batch that may have been written, and whose worker was not told so, can be written again.
"""

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from django.db import connection, transaction

from dagy.artifacts import OUTPUT_NAME
from dagy.records import LEVELS
from dagy.states import State
from dagy_console.core import leases
from dagy_console.core.forms import storable
from dagy_console.runs.models import UNFINISHED_RUNS, Run, TaskRun

# Of a batch.
MAX_LINES, MAX_CHARACTERS = 5_000, 10_000_000
# Of one run. What comes after is left out, and the last line says so.
MAX_RUN_LINES = 1_000_000
_MAX_TASKS = 10_000
# Larger numbers are lies: no page can say them.
_MOST = 10**15
_TASK_STATUSES = frozenset(State) - {State.QUEUED, State.CANCELLING}
_COPY = "COPY runs_logline (run_id, sequence, time, level, task_id, message) FROM STDIN (FORMAT binary)"


class Journal:
    def __init__(self, run: Run, token: uuid.UUID) -> None:
        self.last: dict[str, Any] | None = None
        """The run's last word of itself."""
        self._run = run
        self._run_id = run.pk
        self._mine = Run.objects.filter(pk=run.pk, lease_owner=token, status__in=UNFINISHED_RUNS)
        self._sequence = run.log_lines
        self._lines: list[tuple[Any, ...]] = []
        self._characters = 0
        self._tasks: dict[str, dict[str, Any]] = {}
        self._positions: dict[str, int] = {}
        # The run's own record has only a summary of each task: its attempts and artifacts are kept for it.
        self._details: dict[str, tuple[Any, Any]] = {}

    @property
    def is_full(self) -> bool:
        return len(self._lines) >= MAX_LINES or self._characters >= MAX_CHARACTERS

    @property
    def artifacts(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Task id and artifact, of all that was told of since the last flush."""
        for task_id, columns in self._tasks.items():
            yield from ((task_id, kept) for kept in columns.get("artifacts", ()))

    def take(self, message: dict[str, Any]) -> None:
        """One message; what has another form than is known is left out."""
        record = message.get("record")
        if message.get("kind") == "log":
            self.log(
                message.get("message"),
                level=message.get("level"),
                task_id=message.get("task_id"),
                at=message.get("time"),
            )
        elif message.get("kind") == "run" and isinstance(record, dict):
            self.last = record
            for summary in _dicts(record.get("tasks")):
                self._task(summary, attempts=None)
        elif message.get("kind") == "task" and isinstance(record, dict):
            self._task(record, attempts=_dicts(record.get("attempts")))

    def log(self, message: object, *, level: object = "INFO", task_id: object = None, at: object = None) -> None:
        if self._sequence >= MAX_RUN_LINES:
            return
        self._sequence += 1
        if self._sequence == MAX_RUN_LINES:
            message, level = f"The log has {MAX_RUN_LINES:,} lines: what comes after is not kept.", "WARNING"
        text = _text(message, 100_100)
        self._characters += len(text)
        self._lines.append(
            (
                self._run_id,
                self._sequence,
                moment(at) or datetime.now(UTC),
                level if isinstance(level, str) and level in LEVELS else "INFO",
                _text(task_id, 100),
                text,
            )
        )

    def flush(self) -> str:
        """Write what has come; the run's status by now. Raises Lost where another worker has taken the run."""
        if not self._lines and not self._tasks:
            return str(leases.held(self._mine.only("status")).status)
        with transaction.atomic():
            run = leases.locked(self._mine.only("status", "log_lines"))
            self._write_lines([line for line in self._lines if line[1] > run.log_lines])
            self._write_tasks()
        self._lines.clear()
        self._characters = 0
        self._tasks.clear()
        return str(run.status)

    def _write_lines(self, lines: list[tuple[Any, ...]]) -> None:
        if not lines:
            return
        with connection.cursor() as cursor, cursor.copy(_COPY) as copy:
            copy.set_types(["uuid", "int8", "timestamptz", "text", "text", "text"])
            for line in lines:
                copy.write_row(line)
        self._mine.update(log_lines=lines[-1][1])

    def _write_tasks(self) -> None:
        TaskRun.objects.bulk_create(
            [TaskRun(run=self._run, **columns) for columns in self._tasks.values()],
            update_conflicts=True,
            unique_fields=["run", "task_id"],
            update_fields=_WRITTEN,
        )

    def _task(self, told: dict[str, Any], *, attempts: list[dict[str, Any]] | None) -> None:
        task_id = _text(told.get("task_id"), 100)
        if not task_id or (task_id not in self._positions and len(self._positions) >= _MAX_TASKS):
            return
        columns = self._tasks.setdefault(task_id, {})
        position = self._positions.setdefault(task_id, len(self._positions))
        status = told.get("status")
        columns |= {
            "task_id": task_id,
            "position": position,
            "name": _text(told.get("name"), 200),
            "status": status if isinstance(status, str) and status in _TASK_STATUSES else "PENDING",
            "depends_on": [_text(up, 100) for up in _list(told.get("depends_on")) if isinstance(up, str)][:1000],
            "started_at": moment(told.get("started_at")),
            "ended_at": moment(told.get("ended_at")),
            "duration_seconds": _number(told.get("duration_seconds")),
            "error_type": _text(told.get("error_type") if attempts is None else _last_error(attempts), 200),
            "reason": _text(told.get("reason"), 2000),
        }
        if attempts is not None:
            columns["attempts"] = plain(attempts[:100])
            columns["artifacts"] = plain([*_output(told.get("output")), *_named(told.get("artifacts"))][:1000])
            self._details[task_id] = (columns["attempts"], columns["artifacts"])
        elif task_id in self._details:
            columns["attempts"], columns["artifacts"] = self._details[task_id]


_WRITTEN = [
    "name",
    "status",
    "depends_on",
    "attempts",
    "started_at",
    "ended_at",
    "duration_seconds",
    "error_type",
    "reason",
    "artifacts",
]


def failure_of(told: Any) -> dict[str, Any] | None:
    """The first failure in the form that is known."""
    if not isinstance(told, dict):
        return None
    attempt = told.get("attempt")
    return {
        "task_id": _text(told.get("task_id"), 100) or None,
        "attempt": attempt if isinstance(attempt, int) else None,
        "error_type": _text(told.get("error_type"), 200),
        "message": _text(told.get("message"), 10_000),
        "traceback": _text(told.get("traceback"), 100_000),
        "advice": _text(told.get("advice"), 2_000),
    }


def plain(value: Any, depth: int = 0) -> Any:
    """JSON that PostgreSQL takes: without NUL, and without half of a surrogate pair."""
    if isinstance(value, str):
        return _text(value, 100_000)
    if depth > 20:
        return None
    if isinstance(value, dict):
        return {_text(key, 200): plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item, depth + 1) for item in value]
    is_whole = isinstance(value, int) and abs(value) < _MOST
    return value if is_whole or value is None else _number(value)


def _last_error(attempts: list[dict[str, Any]]) -> object:
    error = attempts[-1].get("error") if attempts else None
    return error.get("type") if isinstance(error, dict) else None


def _output(told: Any) -> list[dict[str, Any]]:
    """A task's output, as the artifact that it is kept as."""
    if not isinstance(told, dict):
        return []
    return [{"name": OUTPUT_NAME, "size_bytes": told.get("size_bytes"), "content_type": "application/json"}]


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [item for item in _list(value) if isinstance(item, dict)]


def _named(value: Any) -> list[dict[str, Any]]:
    """Artifacts: without a name there is nothing to ask for."""
    return [item for item in _dicts(value) if isinstance(item.get("name"), str)]


def _text(value: object, most: int) -> str:
    return storable(value, most) if isinstance(value, str) else ""


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, (int, float)) and abs(value) < _MOST else None


def moment(value: object) -> datetime | None:
    """A time with its zone, of a text as `dagy.records` writes them."""
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) else None
        return found.astimezone(UTC) if found is not None and found.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None

"""An index of the local runs in SQLite, so that a list of ten thousand does not read ten thousand files.

It is derived from the files, and may be deleted at any time. A run adds itself when it ends; whoever lists adds what
is missing, reads again what had not ended, and drops what is gone. Nothing that goes wrong here breaks a run.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any, NamedTuple
from zlib import crc32

from dagy.local import places, reading
from dagy.states import FINAL

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dagy.records import RunRecord

_VERSION = 2
_TABLE = """
CREATE TABLE runs (
    run_id TEXT PRIMARY KEY, flow TEXT NOT NULL, status TEXT NOT NULL, started_at TEXT NOT NULL,
    duration_seconds REAL, tasks INTEGER NOT NULL, succeeded INTEGER NOT NULL, failed_task TEXT, reason TEXT,
    is_final INTEGER NOT NULL, checksum INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX runs_compared ON runs (is_final, checksum);
CREATE INDEX runs_started ON runs (started_at DESC, run_id DESC);
CREATE INDEX runs_status ON runs (status, started_at DESC);
CREATE INDEX runs_flow ON runs (flow, started_at DESC);
"""


class RunLine(NamedTuple):
    """A run in a list. `tasks` and `succeeded` count its tasks; `failed_task` is the first that failed."""

    run_id: str
    flow: str
    status: str
    started_at: str
    duration_seconds: float | None
    tasks: int
    succeeded: int
    failed_task: str | None
    reason: str | None


def put(record: RunRecord) -> None:
    """Add or replace a run. Does nothing where the index can't be written."""
    with suppress(sqlite3.Error, OSError), closing(_opened()) as connection, connection:
        _put(connection, [record])


def listing(
    *, status: str | None = None, flow: str | None = None, limit: int = 20, before: str | None = None
) -> list[RunLine]:
    """Runs, newest first; `before` is the `started_at` of the last of the page before.

    Raises OSError where the local directory can't be read.
    """
    present = _present()
    try:
        return _listed(present, status, flow, limit, before)
    except sqlite3.DatabaseError:  # broken, or of another version of SQLite: it is derived, so it is made anew
        with suppress(OSError):
            os.unlink(_path())  # noqa: PTH108
    try:
        return _listed(present, status, flow, limit, before)
    except (sqlite3.Error, OSError):
        return _without_index(present, status, flow, limit, before)


def _listed(present: set[str], *filters: Any) -> list[RunLine]:
    with closing(_opened()) as connection:
        with suppress(sqlite3.OperationalError):  # read-only: what is there is still listed
            _update(connection, present)
        return _query(connection, *filters)


def _query(
    connection: sqlite3.Connection, status: str | None, flow: str | None, limit: int, before: str | None
) -> list[RunLine]:
    wanted = [("status = ?", status), ("flow = ?", flow), ("started_at < ?", before)]
    terms = [(term, value) for term, value in wanted if value is not None]
    where = f"WHERE {' AND '.join(term for term, _ in terms)}" if terms else ""
    rows = connection.execute(
        f"SELECT {', '.join(RunLine._fields)} FROM runs {where} ORDER BY started_at DESC, run_id DESC LIMIT ?",
        [*(value for _, value in terms), limit],
    )
    return [RunLine(*row) for row in rows]


def _update(connection: sqlite3.Connection, present: set[str]) -> None:
    if _is_current(connection, present):
        return
    known = dict(connection.execute("SELECT run_id, status FROM runs"))
    gone = known.keys() - present
    stale = [run_id for run_id in present if known.get(run_id) not in FINAL]
    records = [record for run_id in stale if (record := reading.readable(run_id)) is not None]
    with connection:
        connection.executemany("DELETE FROM runs WHERE run_id = ?", [(run_id,) for run_id in gone])
        _put(connection, records)


def _is_current(connection: sqlite3.Connection, present: set[str]) -> bool:
    """Whether the index holds these runs and no others, and all have ended: without reading each of its rows."""
    query = "SELECT count(*), total(checksum), total(is_final) FROM runs"
    count, checksums, ended = connection.execute(query).fetchone()
    return bool(count == ended == len(present) and checksums == sum(crc32(run_id.encode()) for run_id in present))


def _put(connection: sqlite3.Connection, records: Iterable[RunRecord]) -> None:
    rows = [(*_line(record), record["status"] in FINAL, crc32(record["run_id"].encode())) for record in records]
    connection.executemany("INSERT OR REPLACE INTO runs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)


def _line(record: RunRecord) -> RunLine:
    tasks = record["tasks"]
    return RunLine(
        run_id=record["run_id"],
        flow=record["flow"]["name"],
        status=record["status"],
        started_at=record["started_at"],
        duration_seconds=record["duration_seconds"],
        tasks=len(tasks),
        succeeded=sum(task["status"] == "SUCCEEDED" for task in tasks),
        failed_task=record["failure"]["task_id"] if record["failure"] else None,
        reason=record["reason"],
    )


def _without_index(
    present: set[str], status: str | None, flow: str | None, limit: int, before: str | None
) -> list[RunLine]:
    """Slower, from the files alone: where nothing may be written."""
    lines = [_line(record) for run_id in present if (record := reading.readable(run_id)) is not None]
    lines = [
        line
        for line in lines
        if status in (None, line.status) and flow in (None, line.flow) and (before is None or line.started_at < before)
    ]
    return sorted(lines, key=lambda line: (line.started_at, line.run_id), reverse=True)[:limit]


def _present() -> set[str]:
    try:
        return {name for name in os.listdir(f"{places.base()}/runs") if not name.startswith(".")}  # noqa: PTH208
    except FileNotFoundError:
        return set()


def _path() -> str:
    return f"{places.base()}/index.db"


def _opened() -> sqlite3.Connection:
    connection = sqlite3.connect(_path(), timeout=2.0)
    try:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        connection.execute("PRAGMA synchronous = OFF")  # lost with the machine's power, it is made anew
        if version != _VERSION:
            _make(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _make(connection: sqlite3.Connection) -> None:
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        if connection.execute("PRAGMA user_version").fetchone()[0] == _VERSION:  # another process was first
            return
        connection.execute("DROP TABLE IF EXISTS runs")
        for statement in filter(None, map(str.strip, _TABLE.split(";"))):
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {_VERSION}")

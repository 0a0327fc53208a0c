"""Writing the index: rows in, rows out. Everything that changes it (capture, reconciliation, deletions) comes here."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog
from django.db import DatabaseError, InterfaceError, connection, transaction
from psycopg.types.json import Jsonb

from dagy_console.core.partitions import ensure_partitions
from dagy_console.core.storage import StoredObject
from dagy_console.exceptions.index.grouping import claim_groups, lock_groups_of, reopen_groups
from dagy_console.exceptions.models import DeletionClaim, Trace
from dagy_console.exceptions.reading.fields import IndexFields

log = structlog.get_logger(__name__)
TABLE = Trace._meta.db_table
# In place of an ETag: the object could not be read.
UNREADABLE = "unreadable"
_COLUMNS = {
    "timestamp": "timestamptz",
    "key": "text",
    "org_id": "text",
    "exception_type": "text",
    "message": "text",
    "http_method": "text",
    "http_path": "text",
    "request_id": "text",
    "function_name": "text",
    "run_id": "text",
    "fingerprint": "text",
    "problems": "jsonb",
    "size": "bigint",
    "etag": "text",
    "last_modified": "timestamptz",
}
# Two readers of different versions may write in either order; the next pass sees an ETag that is not the listing's.
# What still cannot be read is the same trace, tried again: its transaction stays, for deletions go by that.
_UPSERT = f"""
INSERT INTO {TABLE} ({", ".join(_COLUMNS)}, indexed_at, indexed_xid)
SELECT {", ".join(_COLUMNS)}, clock_timestamp(), pg_current_xact_id()
FROM unnest({", ".join(f"%s::{kind}[]" for kind in _COLUMNS.values())}) AS new ({", ".join(_COLUMNS)})
ON CONFLICT (timestamp, key) DO UPDATE
SET {", ".join(f"{name} = EXCLUDED.{name}" for name in _COLUMNS)}, indexed_at = EXCLUDED.indexed_at,
    indexed_xid = CASE WHEN {TABLE}.etag = EXCLUDED.etag THEN {TABLE}.indexed_xid ELSE EXCLUDED.indexed_xid END
WHERE {TABLE}.etag <> EXCLUDED.etag OR EXCLUDED.etag = '{UNREADABLE}'
"""
# In key order, as everything that locks rows of the index.
_REMOVE = f"""
DELETE FROM {TABLE} USING (
    SELECT timestamp, key FROM {TABLE} WHERE key = ANY(%s) {{condition}} ORDER BY key FOR UPDATE
) AS going WHERE {TABLE}.timestamp = going.timestamp AND {TABLE}.key = going.key
"""
_VANISHED = f"""
AND indexed_at < %s AND NOT EXISTS (SELECT FROM {DeletionClaim._meta.db_table} AS claim WHERE claim.key = {TABLE}.key)
"""


@dataclass(frozen=True, slots=True)
class IndexedTrace:
    """An object of the bucket and what was read from it."""

    key: str
    fields: IndexFields
    size: int
    etag: str
    last_modified: datetime


def indexed(stored: StoredObject, fields: IndexFields) -> IndexedTrace:
    return IndexedTrace(stored.key, fields, stored.size, stored.etag, stored.last_modified)


def put_traces(traces: Sequence[IndexedTrace]) -> int:
    """Insert or renew the rows of up to a few thousand traces, in one transaction.

    A row that PostgreSQL refuses is logged and left out: it must not keep the others from being seen. Answers how many
    those are.
    """
    if not traces:
        return 0
    # In key order, so that two processes never wait for each other crosswise.
    rows = sorted({trace.key: trace for trace in traces}.values(), key=lambda trace: trace.key)
    try:
        _put(rows)
    except DatabaseError as error:
        if isinstance(error, InterfaceError) or not connection.is_usable():
            raise
        if len(rows) > 1:
            middle = len(rows) // 2
            return put_traces(rows[:middle]) + put_traces(rows[middle:])
        log.error("traces.row_refused", key=rows[0].key, error=str(error).strip())
        return 1
    return 0


def remove_traces(keys: Sequence[str], *, vanished_at: datetime | None = None) -> int:
    """Take rows out; how many there were. With `vanished_at`, when their objects were seen to be gone: but for what was
    indexed since, and for what a deletion has on its way, which counts it itself."""
    if not keys:
        return 0
    sql = _REMOVE.format(condition=_VANISHED if vanished_at else "")
    with transaction.atomic(), connection.cursor() as cursor:
        lock_groups_of(keys)
        cursor.execute(sql, [list(keys), *([vanished_at] if vanished_at else [])])
        return int(cursor.rowcount)


def forget_transactions() -> None:
    """In a database that was restored into another server, rows may name transactions that are yet to come there, and
    no deletion would see them: they become as old as can be."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE {TABLE} SET indexed_xid = '3'::xid8 "
            "WHERE indexed_xid >= pg_snapshot_xmax(pg_current_snapshot())"
            "AND indexed_xid IS DISTINCT FROM pg_current_xact_id_if_assigned()"
        )


def _put(rows: Sequence[IndexedTrace]) -> None:
    moments = [trace.fields.occurred_at for trace in rows]
    ensure_partitions(TABLE, *moments)
    with transaction.atomic(), connection.cursor() as cursor:
        claim_groups([trace.fields for trace in rows])
        # A key without a time of its own may have moved: its time comes from what the object says.
        cursor.execute(
            f"DELETE FROM {TABLE} USING unnest(%s::text[], %s::timestamptz[]) AS new (key, timestamp) "
            f"WHERE {TABLE}.key = new.key AND {TABLE}.timestamp <> new.timestamp",
            [[trace.key for trace in rows], moments],
        )
        cursor.execute(_UPSERT, list(map(list, zip(*map(_values, rows), strict=True))))
        reopen_groups([trace.fields.fingerprint for trace in rows])


def _values(trace: IndexedTrace) -> tuple[object, ...]:
    fields = trace.fields
    return (
        fields.occurred_at,
        trace.key,
        fields.org_id,
        fields.exception_type,
        fields.message,
        fields.http_method,
        fields.http_path,
        fields.request_id,
        fields.function_name,
        fields.run_id,
        fields.fingerprint,
        Jsonb(list(fields.problems)),
        trace.size,
        trace.etag,
        trace.last_modified,
    )

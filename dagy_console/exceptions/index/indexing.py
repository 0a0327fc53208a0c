"""Writing the index: rows in, rows out. Everything that fills it (capture, reconciliation, rebuilding) comes here."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog
from django.db import DatabaseError, InterfaceError, connection, transaction
from psycopg.types.json import Jsonb

from dagy_console.core.partitions import ensure_partitions
from dagy_console.core.storage import StoredObject
from dagy_console.exceptions.models import Trace
from dagy_console.exceptions.reading import IndexFields

log = structlog.get_logger(__name__)
TABLE = Trace._meta.db_table
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
    "fingerprint": "text",
    "problems": "jsonb",
    "size": "bigint",
    "etag": "text",
    "last_modified": "timestamptz",
}
# Two readers of different versions may write in either order; the next pass sees an ETag that is not the listing's.
_UPSERT = f"""
INSERT INTO {TABLE} ({", ".join(_COLUMNS)}, indexed_at)
SELECT {", ".join(_COLUMNS)}, clock_timestamp()
FROM unnest({", ".join(f"%s::{kind}[]" for kind in _COLUMNS.values())}) AS new ({", ".join(_COLUMNS)})
ON CONFLICT (timestamp, key) DO UPDATE
SET {", ".join(f"{name} = EXCLUDED.{name}" for name in _COLUMNS)}, indexed_at = EXCLUDED.indexed_at
WHERE {TABLE}.etag <> EXCLUDED.etag
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


def put_traces(traces: Sequence[IndexedTrace]) -> None:
    """Insert or renew the rows of up to a few thousand traces, in one transaction.

    A row that PostgreSQL refuses is logged and left out: it must not keep the others from being seen.
    """
    if not traces:
        return
    # In key order, so that two processes never wait for each other crosswise.
    rows = sorted({trace.key: trace for trace in traces}.values(), key=lambda trace: trace.key)
    try:
        _put(rows)
    except DatabaseError as error:
        if isinstance(error, InterfaceError) or not connection.is_usable():
            raise
        log.error("traces.row_refused", key=rows[0].key, rows=len(rows), error=str(error).strip())
        if len(rows) > 1:
            middle = len(rows) // 2
            put_traces(rows[:middle])
            put_traces(rows[middle:])


def _put(rows: Sequence[IndexedTrace]) -> None:
    moments = [trace.fields.occurred_at for trace in rows]
    ensure_partitions(TABLE, *moments)
    with transaction.atomic(), connection.cursor() as cursor:
        # A key without a time of its own may have moved: its time comes from what the object says.
        cursor.execute(
            f"DELETE FROM {TABLE} USING unnest(%s::text[], %s::timestamptz[]) AS new (key, timestamp) "
            f"WHERE {TABLE}.key = new.key AND {TABLE}.timestamp <> new.timestamp",
            [[trace.key for trace in rows], moments],
        )
        cursor.execute(_UPSERT, list(map(list, zip(*map(_values, rows), strict=True))))


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
        fields.fingerprint.value,
        Jsonb(list(fields.problems)),
        trace.size,
        trace.etag,
        trace.last_modified,
    )

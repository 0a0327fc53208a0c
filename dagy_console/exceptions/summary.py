"""What a search adds up to: the count, the facets and the histogram, in one pass over the rows that match."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import Max, Min, QuerySet

from dagy_console.core.actors import Actor
from dagy_console.core.database import TookTooLong, time_limit
from dagy_console.core.times import parse_time
from dagy_console.exceptions import selectors
from dagy_console.exceptions.models import Trace
from dagy_console.exceptions.search import TIMES, TraceQuery

# Key of the search language -> (column, heading).
FACETS = {
    "type": ("exception_type", "Type"),
    "org": ("org_id", "Organization"),
    "method": ("http_method", "Method"),
    "path": ("http_path", "Path"),
    "function": ("function_name", "Function"),
    "group": ("fingerprint", "Group"),
}
VALUES_A_FACET = 10
# Each set costs a hash look-up a row, which is what counting spends its time on. Columns that have few combinations are
# counted in one set and taken apart afterwards: 5 sets instead of 7 take 0.85 of the time over 100,000 rows.
COUNTED_TOGETHER = "(exception_type, fingerprint), (http_method, function_name), (org_id), (http_path), (bucket)"
BUCKET_TEXT = "to_char(bucket AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')"
MAX_BUCKETS = 96
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
STEPS = [
    *(MINUTE * count for count in (1, 5, 15, 30)),
    *(HOUR * count for count in (1, 3, 6, 12)),
    *(DAY * count for count in (1, 7, 30, 90, 365)),
]
EPOCH = datetime(2001, 1, 1, tzinfo=UTC)
SECONDS = 1.5


@dataclass(frozen=True, slots=True)
class FacetCount:
    key: str
    values: list[tuple[str, int]]
    distinct: int


@dataclass(frozen=True, slots=True)
class Bucket:
    start: datetime
    end: datetime
    count: int


@dataclass(frozen=True, slots=True)
class Summary:
    """`total` is None where counting took too long: the list itself does not wait for it."""

    total: int | None
    facets: list[FacetCount] = field(default_factory=list)
    buckets: list[Bucket] = field(default_factory=list)

    def distinct(self, key: str) -> int:
        return next((facet.distinct for facet in self.facets if facet.key == key), 0)


def summarize(actor: Actor, query: TraceQuery) -> Summary:
    """Exact counts for the query as it stands. Raises PermissionDenied."""
    rows = selectors.matching(actor, query)
    try:
        with time_limit(SECONDS):
            return _counted(rows, query)
    except TookTooLong:
        return Summary(total=None)


def _counted(rows: QuerySet[Trace], query: TraceQuery) -> Summary:
    bounds = rows.aggregate(oldest=Min("timestamp"), newest=Max("timestamp"))
    if bounds["oldest"] is None:
        return Summary(total=0)
    start, end = _window(query, bounds["oldest"], bounds["newest"])
    step = next((step for step in STEPS if (end - start) / step < MAX_BUCKETS - 1), STEPS[-1])
    found = _grouped(rows, step)
    buckets = {datetime.fromisoformat(value): count for value, count, _ in found["bucket"]}
    return Summary(
        total=sum(count for _, count, _ in found["bucket"]),
        facets=[
            FacetCount(
                key,
                [(value, count) for value, count, _ in found.get(column, [])],
                found[column][0][2] if column in found else 0,
            )
            for key, (column, _) in FACETS.items()
        ],
        buckets=_filled(buckets, _floor(start, step), end, step),
    )


def _grouped(rows: QuerySet[Trace], step: timedelta) -> dict[str, list[tuple[str, int, int]]]:
    """Column -> (value, count, distinct values), the most frequent first; `bucket` whole, the others their top."""
    columns = [column for column, _ in FACETS.values()]
    params: tuple[Any, ...]
    inner, params = rows.order_by().values_list("timestamp", *columns).query.sql_with_params()
    shown = ", ".join([*(f"('{column}', {column})" for column in columns), f"('bucket', {BUCKET_TEXT})"])
    sql = f"""
    WITH together AS (
        SELECT {", ".join(columns)}, bucket, count(*) AS count
        FROM (SELECT {", ".join(columns)}, date_bin(%s, timestamp, %s) AS bucket FROM ({inner}) AS matching) AS binned
        GROUP BY GROUPING SETS ({COUNTED_TOGETHER})
    ), counted AS (
        SELECT name, value, sum(count)::bigint AS count
        FROM together, LATERAL (VALUES {shown}) AS one (name, value)
        WHERE value IS NOT NULL
        GROUP BY name, value
    ), ranked AS (
        SELECT *, row_number() OVER (PARTITION BY name ORDER BY count DESC, value) AS rank,
               count(*) OVER (PARTITION BY name) AS distinct_values
        FROM counted
    )
    SELECT name, value, count, distinct_values FROM ranked WHERE rank <= %s OR name = 'bucket' ORDER BY name, rank
    """
    found: dict[str, list[tuple[str, int, int]]] = {}
    with connection.cursor() as cursor:
        values: list[Any] = [step, EPOCH, *params, VALUES_A_FACET]
        cursor.execute(sql, values)
        for name, shown, count, distinct in cursor.fetchall():
            found.setdefault(name, []).append((shown, count, distinct))
    return found


def _window(query: TraceQuery, oldest: datetime, newest: datetime) -> tuple[datetime, datetime]:
    """The time that the histogram spans: what the query says, else what the rows do."""
    said = {key: [parse_time(value) for value in query.values(key)] for key in TIMES}
    start = max(said["after"]) if said["after"] else oldest
    end = min(said["before"]) if said["before"] else newest
    return (start, end) if start < end else (oldest, newest)


def _floor(moment: datetime, step: timedelta) -> datetime:
    return moment - (moment - EPOCH) % step


def _filled(counts: dict[datetime, int], start: datetime, end: datetime, step: timedelta) -> list[Bucket]:
    """Every bucket from `start` on, the empty ones too."""
    buckets: list[Bucket] = []
    while start <= end and len(buckets) < MAX_BUCKETS:
        buckets.append(Bucket(start, start + step, counts.get(start, 0)))
        start += step
    return buckets

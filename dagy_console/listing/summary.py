"""What a search adds up to: the count, the facets and the histogram, in one pass over the rows that match."""

import json
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import Max, Min, Model, QuerySet
from django.utils import timezone

from dagy_console.core.database import TookTooLong, time_limit
from dagy_console.core.times import parse_time
from dagy_console.listing.finding import looked_up, planned
from dagy_console.listing.language import TIMES, Listing, Query
from dagy_console.listing.rollups import RolledUp, begin_of, met_by_day, rolled_up

VALUES_A_FACET, VALUES_OF_A_WHOLE_FACET = 10, 200
BUCKET_TEXT = "to_char(bucket AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')"
MAX_BUCKETS = 96
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
STEPS = [
    *(MINUTE * count for count in (1, 5, 15, 30)),
    *(HOUR * count for count in (1, 3, 6, 12)),
    *(DAY * count for count in (1, 7, 30, 90, 365)),
]
EPOCH = datetime(2001, 1, 1, tzinfo=UTC)
SECONDS = 0.1
# Where that was not enough, or would not be: of how many of the newest the facets are then.
AT_LEAST, AT_LEAST_SECONDS = 2_000, 0.3
# Counting so many row by row takes longer than that.
MOST_LIVE = 20_000


@dataclass(frozen=True, slots=True)
class FacetCount:
    """A key's most frequent values, and how many it has in all."""

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
    """`total` is None where counting took too long: the list itself does not wait for it. There are `at_least` so many
    then, if that is known. `of_newest` says of how many of the newest the facets are, where not of all."""

    total: int | None
    facets: list[FacetCount] = field(default_factory=list)
    buckets: list[Bucket] = field(default_factory=list)
    at_least: int | None = None
    of_newest: int | None = None

    @property
    def count(self) -> int:
        """What is known to be there."""
        return self.total or self.at_least or 0

    def distinct(self, key: str) -> int:
        return next((facet.distinct for facet in self.facets if facet.key == key), 0)


def summarize(rows: QuerySet[Any], query: Query, *, whole: str = "") -> Summary:
    """Exact counts of the query's matches among `rows`, which hold what the reader may see. The facet `whole` comes
    with more of its values than the others."""
    matching = rows.filter(looked_up(rows, query))
    days = None
    with suppress(TookTooLong), time_limit(SECONDS), planned(query):
        days = met_by_day(rows, matching, query)
        if not days or sum(days.values()) <= MOST_LIVE:
            return _counted(rows, matching, query, whole)
    found = _of_newest(matching, query, whole, days)
    if found.total and found.of_newest is None:
        # So few that the machine was slow, and not the search.
        with suppress(TookTooLong), time_limit(AT_LEAST_SECONDS), planned(query):
            return _counted(rows, matching, query, whole)
    return found


def _of_newest(matching: QuerySet[Any], query: Query, whole: str, days: dict[date, int] | None) -> Summary:
    """The facets of the newest; the total and the histogram by day, where the days are known."""
    listing = query.listing
    newest = listing.keyset.newest_first(matching)[:AT_LEAST]
    try:
        with time_limit(AT_LEAST_SECONDS), planned(query):
            found = _grouped(newest, listing, DAY, None, whole)
    except TookTooLong:
        found = {}
    count = sum(count for _, count, _ in found.get("bucket", []))
    facets = [_facet(key.name, found.get(key.column, [])) for key in listing.facets]
    if days and any(days.values()):
        return Summary(sum(days.values()), facets, _of_days_alone(days, query), of_newest=count)
    if not found:
        return Summary(total=None)
    return Summary(count, facets) if count < AT_LEAST else Summary(None, facets, at_least=count, of_newest=count)


def _of_days_alone(days: dict[date, int], query: Query) -> list[Bucket]:
    known = {begin_of(day): count for day, count in days.items() if count}
    start, end = _window(query, min(known), max(known))
    fitting = (step for step in STEPS if step >= DAY and (end - start) / step < MAX_BUCKETS - 1)
    step = next(fitting, STEPS[-1])
    counts: dict[datetime, int] = {}
    for moment, count in known.items():
        counts[_floor(moment, step)] = counts.get(_floor(moment, step), 0) + count
    return _filled(counts, _floor(start, step), end, step)


def _counted(everything: QuerySet[Model], matching: QuerySet[Model], query: Query, whole: str) -> Summary:
    listing = query.listing
    bounds = matching.aggregate(oldest=Min(listing.time), newest=Max(listing.time))
    if bounds["oldest"] is None:
        return Summary(total=0)
    start, end = _window(query, bounds["oldest"], bounds["newest"])
    step = next((step for step in STEPS if (end - start) / step < MAX_BUCKETS - 1), STEPS[-1])
    days = rolled_up(everything, query, start, end)
    found = _grouped((matching.filter(days.live) if days else matching).order_by(), listing, step, days, whole)
    buckets = (
        _buckets(matching, listing, step)
        if days and step < HOUR
        else {datetime.fromisoformat(value): count for value, count, _ in found.get("bucket", [])}
    )
    if not buckets:
        # All of it was deleted meanwhile.
        return Summary(total=0)
    return Summary(
        total=sum(buckets.values()),
        facets=[_facet(key.name, found.get(key.column, [])) for key in listing.facets],
        buckets=_filled(buckets, _floor(start, step), end, step),
    )


def _buckets(matching: QuerySet[Model], listing: Listing, step: timedelta) -> dict[datetime, int]:
    """Of less than an hour, which no counts know: the times alone are read off their index."""
    inner, params = matching.order_by().values_list(listing.time).query.sql_with_params()
    values: list[Any] = [step, EPOCH, *params]
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT date_bin(%s, moment, %s), count(*) FROM ({inner}) AS matching (moment) GROUP BY 1", values
        )
        return {bucket.astimezone(UTC): count for bucket, count in cursor.fetchall()}


def _facet(key: str, found: list[tuple[str, int, int]]) -> FacetCount:
    return FacetCount(key, [(value, count) for value, count, _ in found], found[0][2] if found else 0)


def _grouped(
    rows: QuerySet[Model], listing: Listing, step: timedelta, days: RolledUp | None, whole: str
) -> dict[str, list[tuple[str, int, int]]]:
    """Column -> (value, count, distinct values), the most frequent first; `bucket` whole, the others their top. `days`
    are counted already, and not among `rows`."""
    columns = [key.column for key in listing.facets]
    inner, params = rows.values_list(listing.time, *columns).query.sql_with_params()
    named = ", ".join(columns)
    shown = ", ".join([*(f"('{column}', {column})" for column in columns), f"('bucket', {BUCKET_TEXT})"])
    counted, more = _of_days(days, step) if days else ("", [])
    most = {key.column: VALUES_OF_A_WHOLE_FACET for key in listing.facets if key.name == whole}
    sql = f"""
    WITH together AS (
        SELECT {named}, bucket, count(*) AS count
        FROM (
            SELECT {named}, date_bin(%s, moment, %s) AS bucket FROM ({inner}) AS matching (moment, {named})
        ) AS binned
        GROUP BY GROUPING SETS ({_counted_together(listing, columns)})
    ), counted AS (
        SELECT name, value, sum(count)::bigint AS count
        FROM (
            SELECT name, value, count FROM together, LATERAL (VALUES {shown}) AS one (name, value)
            WHERE value IS NOT NULL {counted}
        ) AS all_of_them (name, value, count)
        GROUP BY name, value HAVING sum(count) > 0
    ), ranked AS (
        SELECT *, row_number() OVER (PARTITION BY name ORDER BY count DESC, value) AS rank,
               count(*) OVER (PARTITION BY name) AS distinct_values
        FROM counted
    )
    SELECT name, value, count, distinct_values FROM ranked
    WHERE rank <= coalesce((%s::jsonb ->> name)::int, %s) OR name = 'bucket' ORDER BY name, rank
    """
    found: dict[str, list[tuple[str, int, int]]] = {}
    with connection.cursor() as cursor:
        values: list[Any] = [step, EPOCH, *params, *more, json.dumps(most), VALUES_A_FACET]
        cursor.execute(sql, values)
        for name, value, count, distinct in cursor.fetchall():
            found.setdefault(name, []).append((value, count, distinct))
    return found


_DAYS = """
UNION ALL SELECT "column", value, %s * count FROM listing_daycount
WHERE source = %s AND given_column = %s AND given_value = ANY(%s::text[]) AND day = ANY(%s)
  AND given_hash IN (SELECT hashtextextended(given, 0) FROM unnest(%s::text[]) AS given)
"""
_SPANS = f"""
UNION ALL SELECT CASE "column" WHEN '' THEN 'bucket' ELSE "column" END,
    CASE "column" WHEN '' THEN {BUCKET_TEXT} ELSE value END, count
FROM (
    SELECT "column", value, count, date_bin(%s, hour, %s) AS bucket FROM listing_hourcount
    WHERE source = %s AND hour >= %s AND hour < %s
) AS spans
"""
_HOURS = f"""
UNION ALL SELECT 'bucket', {BUCKET_TEXT}, count FROM (
    SELECT date_bin(%s, hour, %s) AS bucket, %s * count AS count FROM listing_hourcount
    WHERE source = %s AND "column" = %s AND value = ANY(%s::text[])
      AND hour >= %s AND hour < %s AND (hour AT TIME ZONE 'UTC')::date = ANY(%s)
      AND value_hash IN (SELECT hashtextextended(given, 0) FROM unnest(%s::text[]) AS given)
) AS hours
"""


def _of_days(found: RolledUp, step: timedelta) -> tuple[str, list[Any]]:
    """SQL and values for what is counted already."""
    sql, values, days = "", [], found.days
    for part in found.parts if days else []:
        asked = [part.sign, found.source, part.column, part.values]
        first, last = begin_of(days[0]), begin_of(days[-1] + DAY)
        sql += _DAYS + _HOURS
        values += [*asked, days, part.values, step, EPOCH, *asked, first, last, days, part.values]
    for begin, end in found.hours:
        sql += _SPANS
        values += [step, EPOCH, found.source, begin, end]
    return sql, values


def _counted_together(listing: Listing, columns: list[str]) -> str:
    """Each set costs a hash look-up a row, which is what counting spends its time on. Columns that have few
    combinations are counted in one set and taken apart afterwards."""
    alone = [(column,) for column in columns if not any(column in group for group in listing.together)]
    return ", ".join(f"({', '.join(group)})" for group in (*listing.together, *alone, ("bucket",)))


def _window(query: Query, oldest: datetime, newest: datetime) -> tuple[datetime, datetime]:
    """The time that the histogram spans: what the query says, else from the first row to now, for where it has become
    quiet is told by what is empty."""
    said = {key: [parse_time(value) for value in query.values(key)] for key in TIMES}
    start = max(said["after"]) if said["after"] else oldest
    end = min(said["before"]) if said["before"] else max(newest, timezone.now())
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

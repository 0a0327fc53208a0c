"""Counting days once: `roll_up` does so when they are over, and each hour of today when it is over, `rolled_up` says
which of them answer a search.

What the counts do not hold for (this hour, days that were changed since, the ends of a window) is counted live, so that
a summary is exact all the same.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from itertools import combinations_with_replacement, pairwise
from time import monotonic
from typing import Any

from django.db import OperationalError, connection, transaction
from django.db.models import F, Min, Q, QuerySet, TextField, Value
from django.db.models.fields.related_lookups import RelatedIn
from django.db.models.lookups import In
from django.db.models.sql import Query as SqlQuery
from django.utils import timezone

from dagy_console.core.times import parse_time
from dagy_console.listing.language import TIMES, Listing, Query, Term
from dagy_console.listing.models import DayCount, HourCount, RolledUpDay
from dagy_console.listing.values import facet_terms, is_of_facet, selected

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
Span = tuple[datetime, datetime]
_EVER = (datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 12, 30, tzinfo=UTC))
# An hour is over when what was late is in: each late row has its day counted again.
_LATE = timedelta(minutes=2)
# Of a list: what is older is little, and is counted live.
_MOST_DAYS = 400
_SECONDS = 20.0
# Counting so many pieces live costs more than counting all.
_MOST_PIECES = 8
# Of a facet, in one search.
_MOST_ASKED = 200
_lists: dict[str, tuple[Listing, Callable[[], QuerySet[Any]]]] = {}


def register(listing: Listing, rows: Callable[[], QuerySet[Any]]) -> None:
    """`rows` are all there are; the table is `listing.source`, with the triggers of `marking.marked`."""
    _lists[listing.source] = (listing, rows)


@dataclass(frozen=True, slots=True)
class Part:
    """Counts of the rows that have one of `values` in `column` ("": all rows), and the sign that they count with."""

    column: str
    values: list[str]
    sign: int


EVERYTHING = Part("", [""], 1)


@dataclass(frozen=True, slots=True)
class RolledUp:
    """Days whose counts answer a search, spans of full hours beside them (none where it is about a facet: hours know
    no pairs), and the condition on the rows that are left to count."""

    source: str
    parts: list[Part]
    days: list[date]
    hours: list[Span]
    live: Q


def rolled_up(rows: QuerySet[Any], query: Query, start: datetime, end: datetime) -> RolledUp | None:
    """For the matches of `query` among `rows` from `start` to `end`. None: they are to be counted."""
    listing, asked = query.listing, _asked(rows, query)
    if asked is None or len(asked.columns) > 1:
        return None
    columns = asked.columns
    reaching = _reaching(listing.source, start, end)
    window = _said(query)
    days = _whole(reaching, window)
    hours = [] if columns else _hours({day: until for day, until in reaching.items() if day not in days}, window)
    known = sorted([*((begin_of(day), until) for day, until in days.items()), *hours])
    if not known or len(_joined(known)) > _MOST_PIECES:
        return None
    live = outside(listing.time, known)
    parts = _parts(listing.source, asked, list(days))
    return RolledUp(listing.source, parts, list(days), hours, live) if parts else None


def _whole(reaching: dict[date, datetime], window: Span) -> dict[date, datetime]:
    """Those of the days that lie in the window from begin to end."""
    return {day: until for day, until in reaching.items() if window[0] < begin_of(day) and until < window[1]}


def met_by_day(rows: QuerySet[Any], matching: QuerySet[Any], query: Query) -> dict[date, int] | None:
    """How many `matching` rows each day has, of a search about the values of two facets, from the counts of pairs.

    None where the search is about anything else, or no day that it asks for was counted.
    """
    listing, asked = query.listing, _asked(rows, query)
    if asked is None or len(asked.columns) != 2 or not all(map(asked.names_values, asked.columns)):
        return None
    window = _said(query)
    reaching = _reaching(listing.source, *window)
    days = _whole(reaching, window)
    if not days:
        return None
    live = matching.filter(outside(listing.time, sorted((begin_of(day), until) for day, until in days.items())))
    inner, params = live.order_by().values_list(listing.time).query.sql_with_params()
    (one, ones), (other, others) = ((column, asked.values(column)) for column in asked.columns)
    with connection.cursor() as cursor:
        cursor.execute(_MET.format(inner=inner), (listing.source, one, ones, ones, other, others, list(days), *params))
        return dict(cursor.fetchall())


def hourly(
    listing: Listing, rows: QuerySet[Any], column: str, values: Sequence[str], hours: Iterable[datetime]
) -> dict[tuple[str, datetime], int]:
    """(value, hour) -> how many of all `rows` have the value in `column` in this hour, where there are any.

    With `column` "" and the value "", all of them. Hours are full and aware, UTC.
    """
    asked = sorted(hours)
    if not asked or not values:
        return {}
    reach = _reaching(listing.source, asked[0], asked[-1])
    known = [hour for hour in asked if hour < reach.get(_day(hour), hour)]
    sql, params = _HOURLY, (listing.source, column, list(values), known, list(values))
    if live := _within(listing.time, sorted({*asked} - {*known})):
        chosen = rows.filter(live, **({f"{column}__in": values} if column else {})).order_by()
        of = F(column) if column else Value("", output_field=TextField())
        inner, more = chosen.values_list(of, listing.time).query.sql_with_params()
        sql, params = sql + _HOURLY_LIVE.format(inner=inner), (*params, *more)
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return {(value, hour.astimezone(UTC)): count for value, hour, count in cursor.fetchall()}


def _within(column: str, hours: Sequence[datetime]) -> Q:
    """Rows of these hours, which ascend; an empty condition where there are none."""
    condition = Q()
    for begin, end in _joined((hour, hour + HOUR) for hour in hours):
        condition |= Q(**{f"{column}__gte": begin, f"{column}__lt": end})
    return condition


def full_hours(source: str, edges: Sequence[datetime]) -> list[Span]:
    """The full hours between each of the edges and the next whose counts hold, in spans that ascend."""
    reaching = _reaching(source, edges[0], edges[-1])
    return [span for window in pairwise(edges) for span in _hours(reaching, window)]


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a search asks for: terms of facets by column, of which one may be narrowed to what the reader may see."""

    columns: dict[str, list[Term]]
    visible: tuple[str, list[str]] | None

    def names_values(self, column: str) -> bool:
        """Whether the values are told without looking at those that there are."""
        terms = self.columns[column]
        seen = self.visible is not None and self.visible[0] == column
        return seen or not any("*" in term.value or term.negated for term in terms)

    def values(self, column: str) -> list[str]:
        """Where they are told."""
        terms = self.columns[column]
        if self.visible is not None and self.visible[0] == column:
            return selected(terms, self.visible[1])
        return selected(terms, {term.value for term in terms})


def _asked(rows: QuerySet[Any], query: Query) -> _Asked | None:
    """None: about what is not counted, or among rows that are narrowed otherwise than to values of a facet."""
    listing, columns = query.listing, facet_terms(query)
    if not listing.source or not all(term.key in TIMES or is_of_facet(listing, term) for term in query.terms):
        return None
    if not rows.query.where:
        return _Asked(columns, None)
    visible = _narrowed_to(rows)
    if visible is None or visible[0] not in {key.column for key in listing.facets}:
        return None
    return _Asked({visible[0]: []} | columns, visible)


def _narrowed_to(rows: QuerySet[Any]) -> tuple[str, list[str]] | None:
    """Column and values, where they are the only condition (`Actor.scoped`)."""
    where = rows.query.where
    only = where.children[0] if len(where.children) == 1 and not where.negated else None
    if not isinstance(only, In | RelatedIn) or isinstance(only.rhs, SqlQuery):
        return None
    return str(only.lhs.target.column), [str(value) for value in only.rhs]


def _parts(source: str, asked: _Asked, days: list[date]) -> list[Part] | None:
    """None: the search asks for so many values that counting the rows is as good."""
    if not asked.columns:
        return [EVERYTHING]
    ((column, terms),) = asked.columns.items()
    if asked.names_values(column):
        parts = [Part(column, asked.values(column), 1)]
    elif all(term.negated for term in terms):
        refused = [replace(term, negated=False) for term in terms]
        parts = [EVERYTHING, Part(column, _asked_for(source, column, refused, days), -1)]
    else:
        parts = [Part(column, _asked_for(source, column, terms, days), 1)]
    return parts if len(parts[-1].values) <= _MOST_ASKED else None


def _asked_for(source: str, column: str, terms: list[Term], days: list[date]) -> list[str]:
    if not any("*" in term.value for term in terms):
        return selected(terms, {term.value for term in terms})
    known = DayCount.objects.filter(source=source, given_column="", column=column, day__in=days)
    return selected(terms, known.values_list("value", flat=True).distinct())


def _reaching(source: str, start: datetime, end: datetime) -> dict[date, datetime]:
    """Days of the window that were counted, each with how far."""
    found = RolledUpDay.objects.filter(source=source, day__gte=_day(start), day__lte=_day(end)).order_by("day")
    return {day: until for day, until in found.values_list("day", "counted_until") if until}


def _said(query: Query) -> Span:
    """The times that the query asks for."""
    after = [parse_time(value) for value in query.values("after")]
    before = [parse_time(value) for value in query.values("before")]
    return max(after, default=_EVER[0]), min(before, default=_EVER[1])


def _hours(reaching: dict[date, datetime], window: Span) -> list[Span]:
    """The full hours within the window of days that do not lie in it whole."""
    first, last = window[0] + HOUR, window[1]
    spans = [
        (max(begin_of(day), first.replace(minute=0, second=0, microsecond=0)),
         min(until, last.replace(minute=0, second=0, microsecond=0)))
        for day, until in reaching.items()
    ]  # fmt: skip
    return [span for span in spans if span[0] < span[1]]


def _joined(spans: Iterable[Span]) -> list[Span]:
    """Those that touch as one."""
    joined: list[Span] = []
    for begin, until in spans:
        start = joined.pop()[0] if joined and joined[-1][1] == begin else begin
        joined.append((start, until))
    return joined


def outside(column: str, known: Iterable[Span]) -> Q:
    """The rows of no such span; these ascend."""
    edges = [None, *(edge for span in _joined(known) for edge in span), None]
    live = Q()
    for after, before in zip(edges[::2], edges[1::2], strict=True):
        piece = Q(**{f"{column}__gte": after}) if after else Q()
        live |= piece & (Q(**{f"{column}__lt": before}) if before else Q())
    return live


def begin_of(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def _day(moment: datetime) -> date:
    return moment.astimezone(UTC).date()


# --- counting


def roll_up() -> int:
    """Count the days that are not counted as far as they can be, newest first, for some seconds. How many."""
    deadline = monotonic() + _SECONDS
    counted = 0
    for source, (listing, rows) in _lists.items():
        for day, until in _uncounted(source, listing, rows()):
            if monotonic() > deadline:
                return counted
            counted += _count(source, listing, rows(), day, until)
    return counted


def _uncounted(source: str, listing: Listing, rows: QuerySet[Any]) -> list[tuple[date, datetime]]:
    """Days that can be counted now, and how far."""
    now, marks = timezone.now(), RolledUpDay.objects.filter(source=source)
    today, full_hour = _day(now), (now - _LATE).replace(minute=0, second=0, microsecond=0)
    bounds = rows.order_by().aggregate(oldest=Min(listing.time))
    oldest = _day(bounds["oldest"]) if bounds["oldest"] else today + DAY
    _forget(source, min(oldest, today))
    first = max(oldest, today - _MOST_DAYS * DAY)
    days = [first + DAY * number for number in range((today - first).days + 1)]
    # Ahead, so that whoever writes on a day has seen its row.
    missing = {*days, today, today + DAY} - set(marks.values_list("day", flat=True))
    made = [RolledUpDay(source=source, day=day, until=begin_of(day)) for day in sorted(missing)]
    RolledUpDay.objects.bulk_create(made, ignore_conflicts=True)
    with connection.cursor() as cursor:
        # Three transactions: what a writer has seen is only known of what is committed.
        cursor.execute(_REACH, {"source": source, "full_hour": full_hour})
        cursor.execute(_SEEN_FROM, [source])
        cursor.execute(_UNCOUNTED, [source, days])
        found: list[tuple[date, datetime]] = cursor.fetchall()
        return found


def _forget(source: str, oldest: date) -> None:
    """What was counted of days before the oldest row: a partition that is dropped calls no trigger."""
    with transaction.atomic():
        if RolledUpDay.objects.filter(source=source, day__lt=oldest).delete()[0]:
            DayCount.objects.filter(source=source, day__lt=oldest).delete()
            HourCount.objects.filter(source=source, hour__lt=begin_of(oldest)).delete()


def _count(source: str, listing: Listing, rows: QuerySet[Any], day: date, until: datetime) -> bool:
    """Whether it was counted: not where somebody changes it right now, or has it reach further."""
    marks = RolledUpDay.objects.filter(source=source, day=day)
    try:
        with transaction.atomic():
            since = _further(marks.select_for_update(nowait=True).get(until=until))
            if since == begin_of(day):
                DayCount.objects.filter(source=source, day=day).delete()
                HourCount.objects.filter(source=source, hour__gte=since, hour__lt=begin_of(day + DAY)).delete()
            _write(source, listing, rows, day, (since, until))
            marks.update(counted_until=until)
    except (OperationalError, RolledUpDay.DoesNotExist):
        return False
    return True


def _further(mark: RolledUpDay) -> datetime:
    """From when on there is something to count. A day that is over is counted whole, so that it has its counts once."""
    is_over = mark.until == begin_of(mark.day + DAY)
    return begin_of(mark.day) if is_over or mark.counted_until is None else mark.counted_until


def _write(source: str, listing: Listing, rows: QuerySet[Any], day: date, span: Span) -> None:
    columns = [key.column for key in listing.facets]
    window = {f"{listing.time}__gte": span[0], f"{listing.time}__lt": span[1]}
    inner, params = rows.filter(**window).order_by().values_list(listing.time, *columns).query.sql_with_params()
    names = [f"c{number}" for number in range(len(columns))]
    pairs = [
        f"SELECT '{columns[a]}', c{a}::text, '{columns[b]}', c{b}::text, count(*) FROM counted "
        f"WHERE c{a} IS NOT NULL AND c{b} IS NOT NULL GROUP BY c{a}, c{b}"
        for a, b in combinations_with_replacement(range(len(columns)), 2)
    ]
    hours = [
        f"SELECT '{column}', {name}::text, date_trunc('hour', moment, 'UTC'), count(*) FROM counted "
        f"WHERE {name} IS NOT NULL GROUP BY {name}, 3"
        for column, name in zip(columns, names, strict=True)
    ]
    counted = f"WITH counted AS MATERIALIZED (SELECT * FROM ({inner}) AS matching (moment, {', '.join(names)})), "
    with connection.cursor() as cursor:
        cursor.execute(f"{counted} {_DAYS.format(pairs=' UNION ALL '.join(pairs))}", [*params, *(source, day) * 3])
        cursor.execute(f"{counted} {_HOURS.format(hours=' UNION ALL '.join(hours))}", [*params, source])


_MET = """
SELECT day, sum(count)::bigint FROM (
    SELECT day, count FROM listing_daycount
    WHERE source = %s AND given_column = %s AND given_value = ANY(%s::text[])
      AND given_hash IN (SELECT hashtextextended(given, 0) FROM unnest(%s::text[]) AS given)
      AND "column" = %s AND value = ANY(%s::text[]) AND day = ANY(%s)
    UNION ALL SELECT (moment AT TIME ZONE 'UTC')::date, count(*) FROM ({inner}) AS live (moment) GROUP BY 1
) AS counted GROUP BY day
"""
_HOURLY = """
SELECT value, hour, count FROM listing_hourcount
WHERE source = %s AND "column" = %s AND value = ANY(%s::text[]) AND hour = ANY(%s)
  AND value_hash IN (SELECT hashtextextended(given, 0) FROM unnest(%s::text[]) AS given)
"""
_HOURLY_LIVE = """
UNION ALL SELECT value, date_trunc('hour', moment, 'UTC'), count(*) FROM ({inner}) AS live (value, moment) GROUP BY 1, 2
"""
_REACH = """
UPDATE listing_rolledupday SET until = reach, seen_from = NULL
FROM (
    SELECT day AS of_day, least((day + 1)::timestamp AT TIME ZONE 'UTC', %(full_hour)s) AS reach
    FROM listing_rolledupday WHERE source = %(source)s
) AS reaching
WHERE source = %(source)s AND day = of_day AND until < reach
"""
# A number that lies ahead of all there are comes from another server, where this database was before.
_SEEN_FROM = """
UPDATE listing_rolledupday SET seen_from = pg_snapshot_xmax(pg_current_snapshot())::text::bigint
WHERE source = %s
  AND (seen_from IS NULL OR seen_from > pg_snapshot_xmax(pg_current_snapshot())::text::bigint)
"""
# Without days that a transaction may write on which has not seen how far they reach: one from before, that has locked
# the table as every writer has. Numbers of transactions are the whole server's, and locks know 32 bits of them.
_UNCOUNTED = """
SELECT day, until FROM listing_rolledupday
WHERE source = %s AND day = ANY(%s) AND until > day::timestamp AT TIME ZONE 'UTC'
  AND counted_until IS DISTINCT FROM until AND NOT EXISTS (
    SELECT FROM pg_snapshot_xip(pg_current_snapshot()) AS under_way (id)
    JOIN pg_locks AS own ON own.locktype = 'transactionid' AND own.mode = 'ExclusiveLock'
        AND own.transactionid::text::bigint = under_way.id::text::bigint %% 4294967296
    JOIN pg_locks AS writing ON writing.pid = own.pid AND writing.mode = 'RowExclusiveLock'
        AND writing.relation = source::regclass
        AND writing.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    WHERE under_way.id::text::bigint < seen_from
)
ORDER BY day DESC
"""
_DAYS = """
pairs (a, v, b, w, n) AS ({pairs})
INSERT INTO listing_daycount (source, day, given_column, given_value, given_hash, "column", value, count)
SELECT %s, %s::date, a, v, hashtextextended(v, 0), b, w, n FROM pairs
UNION ALL SELECT %s, %s::date, b, w, hashtextextended(w, 0), a, v, n FROM pairs WHERE a <> b
UNION ALL SELECT %s, %s::date, '', '', hashtextextended('', 0), a, v, n FROM pairs WHERE a = b
"""
_HOURS = """
hours (a, v, hour, n) AS (
    {hours} UNION ALL SELECT '', '', date_trunc('hour', moment, 'UTC'), count(*) FROM counted GROUP BY 3
)
INSERT INTO listing_hourcount (source, hour, "column", value, value_hash, count)
SELECT %s, hour, a, v, hashtextextended(v, 0), n FROM hours
"""

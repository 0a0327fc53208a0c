"""What is different about a selection of traces: values that it has more often than the rest of the same hours.

Honeycomb calls it BubbleUp. Both sides come from the counts of hours (`listing.rollups`); what these do not hold for is
counted live.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.models import QuerySet

from dagy_console.core.database import TookTooLong, time_limit
from dagy_console.core.errors import Invalid
from dagy_console.core.times import to_rfc3339
from dagy_console.exceptions.models import Trace
from dagy_console.exceptions.search import TRACES, TraceQuery
from dagy_console.listing.finding import TooBroad
from dagy_console.listing.language import Term
from dagy_console.listing.rollups import hourly
from dagy_console.listing.summary import Summary, summarize
from dagy_console.listing.values import facet_terms

HOUR = timedelta(hours=1)
SECONDS = 2
# A value that is rarer than this says little, and one that is hardly more frequent than elsewhere nothing.
LEAST_SHARE, LEAST_LIFT = 0.1, 1.5
MOST = 12
# Of the chart's hours: a selection that is spread over months is compared with its latest days.
MOST_HOURS = 24 * 14


@dataclass(frozen=True, slots=True)
class Difference:
    """`count` of the selection have `value`. Shares are 0 to 1; `lift` is None where no other trace has it."""

    key: str
    value: str
    count: int
    share_in: float
    share_out: float

    @property
    def lift(self) -> float | None:
        return self.share_in / self.share_out if self.share_out else None


@dataclass(frozen=True, slots=True)
class Differences:
    """`total_out` counts the other traces of the hours that the selection lies in."""

    items: list[Difference]
    total_in: int
    total_out: int

    def out(self) -> dict[str, Any]:
        names = ("key", "value", "count", "share_in", "share_out", "lift")
        return {
            "items": [{name: getattr(item, name) for name in names} for item in self.items],
            "total_in": self.total_in,
            "total_out": self.total_out,
        }


def differences(rows: QuerySet[Trace], query: TraceQuery) -> Differences:
    """Of what the query matches among `rows`, which hold what the reader may see. Raises TooBroad, Invalid where it
    selects everything."""
    if not query.terms:
        raise Invalid.field("q", "say which traces to compare with the others, for example type:ValueError")
    summary = summarize(rows, query)
    if summary.total is None:
        raise TooBroad
    if not summary.total:
        return Differences([], 0, 0)
    try:
        with time_limit(SECONDS):
            return _compared(rows, query, summary, summary.total)
    except TookTooLong:
        raise TooBroad from None


def _compared(rows: QuerySet[Trace], query: TraceQuery, summary: Summary, total: int) -> Differences:
    hours = _hours(summary)
    if len(hours) > MOST_HOURS + 48:
        latest = query.with_term(Term("after", to_rfc3339(hours[-MOST_HOURS])))
        return differences(rows, latest)
    everything = sum(hourly(TRACES, rows, "", [""], hours).values())
    others = max(everything - total, 0)
    asked = facet_terms(query)
    found = [
        difference
        for key in TRACES.facets
        if key.column not in asked
        for difference in _of_key(rows, key.name, key.column, summary, hours, total, others)
    ]
    found.sort(key=lambda one: (-(one.lift or float("inf")), -one.share_in, one.key, one.value))
    return Differences(found[:MOST], total, others)


def _of_key(
    rows: QuerySet[Trace], key: str, column: str, summary: Summary, hours: list[datetime], total: int, others: int
) -> Iterator[Difference]:
    counts = next((dict(facet.values) for facet in summary.facets if facet.key == key), {})
    telling = {value: count for value, count in counts.items() if value and count >= LEAST_SHARE * total}
    in_all: dict[str, int] = {}
    for (value, _), count in hourly(TRACES, rows, column, list(telling), hours).items():
        in_all[value] = in_all.get(value, 0) + count
    for value, count in telling.items():
        share_out = max(in_all.get(value, 0) - count, 0) / others if others else 0.0
        difference = Difference(key, value, count, count / total, share_out)
        if others and (difference.lift is None or difference.lift >= LEAST_LIFT):
            yield difference


def _hours(summary: Summary) -> list[datetime]:
    """The full hours in which there are matches."""
    hours: set[datetime] = set()
    for bucket in summary.buckets:
        hour = bucket.start.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
        while bucket.count and hour < bucket.end:
            hours.add(hour)
            hour += HOUR
    return sorted(hours)

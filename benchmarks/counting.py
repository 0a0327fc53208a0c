"""What groups and counts of days cost, as a share of indexing.

    python -m embedded shell -- python benchmarks/counting.py [--traces 20000] [--rounds 3]

Puts the same traces into an empty index with and without all that counts them (triggers, rows of groups), in turns, so
that both meet the same machine; then counts their days, as the worker does. Prints JSON: shares are medians of the
rounds; `recount` is what counting one day of 33,000 traces takes, which is done for the day under way each hour.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Any
from unittest import mock

import tracegen
from console import fill_index, machine, moved, open_console

BATCH = 250
A_DAY = 33_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--traces", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with open_console():
        traces = list(_traces(options.traces))
        print(f"{len(traces):,} traces read", flush=True)
        bare, counted, days = zip(*(_round(traces) for _ in range(options.rounds)), strict=True)
        empty_index()
        with mock.patch.object(tracegen, "SPAN_S", 86_000):
            fill_index(A_DAY)
        recount = _taken(_count_today_anew)
    shares = [(a + c - b) / b for b, a, c in zip(bare, counted, days, strict=True)]
    result = {
        "traces": options.traces,
        **machine(),
        "indexing_seconds": {"bare": median(bare), "counted": median(counted), "days": median(days)},
        "share_of_triggers": round(median((a - b) / b for b, a in zip(bare, counted, strict=True)), 3),
        "share": round(median(shares), 3),
        "recount_seconds": round(recount, 2),
    }
    print(json.dumps(result))


def _round(traces: list[Any]) -> tuple[float, float, float]:
    """Seconds of indexing without what counts, with it, and of counting the days."""
    from dagy_console.listing.rollups import roll_up

    empty_index()
    with _nothing_counts():
        bare = _taken(lambda: _put(traces))
    empty_index()
    counted = _taken(lambda: _put(traces))
    days = _taken(lambda: [None for _ in iter(roll_up, 0)])
    print(f"bare {bare:.1f} s, counted {counted:.1f} s, days {days:.1f} s", flush=True)
    return bare, counted, days


def _traces(count: int) -> Iterator[Any]:
    """As reconciliation reads them, of the last 30 days."""
    from dagy_console.exceptions.index.indexing import IndexedTrace
    from dagy_console.exceptions.reading.fields import extract_fields

    shift = datetime.now(UTC) - tracegen.T0 - timedelta(seconds=tracegen.SPAN_S)
    for number in range(count):
        trace = moved(tracegen.trace(number), shift)
        body, key, now = json.dumps(trace).encode(), tracegen.s3_key(trace), datetime.now(UTC)
        fields = extract_fields(body, key=key, metadata=tracegen.s3_meta(trace), last_modified=now)
        yield IndexedTrace(key, fields, len(body), str(number), now)


def _put(traces: list[Any]) -> None:
    from dagy_console.exceptions.index.indexing import put_traces

    for start in range(0, len(traces), BATCH):
        put_traces(traces[start : start + BATCH])


def _count_today_anew() -> None:
    from dagy_console.listing.models import RolledUpDay
    from dagy_console.listing.rollups import roll_up

    RolledUpDay.objects.update(is_counted=False)
    while roll_up():
        pass


def empty_index() -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE trace, trace_group, trace_group_organization")
        cursor.execute("TRUNCATE listing_rolledupday, listing_daycount, listing_hourcount")


@contextmanager
def _nothing_counts() -> Iterator[None]:
    from django.db import connection

    from dagy_console.exceptions.index import indexing

    def triggers(deed: str) -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER TABLE trace {deed} TRIGGER USER")

    triggers("DISABLE")
    with mock.patch.multiple(indexing, claim_groups=lambda _: None, reopen_groups=lambda _: None):
        yield
    triggers("ENABLE")


def _taken(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()

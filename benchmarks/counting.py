"""What groups and counts of days cost, as a share of indexing.

    python -m embedded shell -- python benchmarks/counting.py [--traces 33000] [--rounds 3]

Reads the fields of a day's traces from their bodies, and puts them into an empty index with and without all that counts
them (triggers, rows of groups), in turns, so that both meet the same machine; then counts the day as the worker does:
each hour when it is over, and the whole day once more in the end. Indexing is reading and putting; what S3 takes is
left out. Prints JSON: the share is the median of the rounds.
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
from console import machine, moved, open_console

BATCH = 250


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--traces", type=int, default=33_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with open_console(), mock.patch.object(tracegen, "SPAN_S", 86_400):
        rounds = [_round(options.traces) for _ in range(options.rounds)]
        told = {"traces": options.traces, **machine()}
    names = ("reading", "bare", "counted", "day")
    seconds = {name: round(median(times), 2) for name, times in zip(names, zip(*rounds, strict=True), strict=True)}
    shares = [(counted - bare + day) / (reading + bare) for reading, bare, counted, day in rounds]
    print(json.dumps(told | {"seconds": seconds, "share": round(median(shares), 3)}))


def _round(count: int) -> tuple[float, float, float, float]:
    """Seconds of reading, of putting without what counts and with it, and of counting the day."""
    traces: list[Any] = []
    reading = _taken(lambda: traces.extend(_traces(count)))
    empty_index()
    with _nothing_counts():
        bare = _taken(lambda: _put(traces))
    empty_index()
    counted = _taken(lambda: _put(traces))
    day = _taken(_count_hour_by_hour)
    print(f"reading {reading:.1f} s, bare {bare:.1f} s, counted {counted:.1f} s, day {day:.1f} s", flush=True)
    return reading, bare, counted, day


def _traces(count: int) -> Iterator[Any]:
    """As reconciliation reads them; they are yesterday's."""
    from dagy_console.exceptions.index.indexing import IndexedTrace
    from dagy_console.exceptions.reading.fields import extract_fields

    shift = _today() - tracegen.T0 - timedelta(seconds=tracegen.SPAN_S)
    for number in range(count):
        trace = moved(tracegen.trace(number), shift)
        body, key, now = json.dumps(trace).encode(), tracegen.s3_key(trace), datetime.now(UTC)
        fields = extract_fields(body, key=key, metadata=tracegen.s3_meta(trace), last_modified=now)
        yield IndexedTrace(key, fields, len(body), str(number), now)


def _today() -> datetime:
    return datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def _count_hour_by_hour() -> None:
    from django.utils import timezone

    from dagy_console.listing.rollups import roll_up

    for hour in range(24):
        with mock.patch.object(timezone, "now", return_value=_today() - timedelta(hours=23 - hour, minutes=-5)):
            roll_up()


def _put(traces: list[Any]) -> None:
    from dagy_console.exceptions.index.indexing import put_traces

    for start in range(0, len(traces), BATCH):
        put_traces(traces[start : start + BATCH])


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

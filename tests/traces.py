"""Rows of the index as chance has them, without objects behind them."""

import random
from datetime import UTC, datetime, timedelta

from dagy_console.exceptions.index.indexing import IndexedTrace
from dagy_console.exceptions.reading.fields import IndexFields

NOW = datetime.now(UTC).replace(minute=30)


def a_trace(number: int, when: datetime, chance: random.Random, *, etag: str = "a") -> IndexedTrace:
    fields = IndexFields(
        org_id=chance.choice(["org_1", "org_2", "org_3"]),
        occurred_at=when,
        request_id=f"r{number}",
        function_name="",
        run_id="",
        exception_type=chance.choice(["ValueError", "KeyError"]),
        message="words of all kinds",
        http_method=chance.choice(["GET", "POST"]),
        http_path=chance.choice(["/runs", "/flows", "/" + "x" * 1_500]),
        fingerprint=chance.choice(["f1", "f2"]),
        problems=(),
    )
    return IndexedTrace(f"exceptions/org/{number}.json", fields, 10, etag, when)


def some_traces(count: int, chance: random.Random, first: int = 0) -> list[IndexedTrace]:
    return [
        a_trace(first + number, NOW - timedelta(minutes=chance.randrange(60 * 24 * 9)), chance)
        for number in range(count)
    ]

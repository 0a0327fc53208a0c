"""How fast the console's pages and lists answer, at the server: milliseconds at the median and the 95th percentile.

    python -m embedded shell -- python benchmarks/pages.py [--traces 100000] [--calls 200] [--only TEXT] [--keep]

Fills an index of its own with synthetic traces of 30 days, 200 organizations and about 280 groups, and asks through
Django's test client as a signed-in super admin: the real middleware, templates and SQL, without a socket. Every
search is also explained, and a sequential scan is told. Prints a table and, at the end, JSON.

Between the calls a fixed piece of work is timed: `busy` is how many times its best time it took at the median while the
case was measured. Above 1.2 or so something else held the processors, and the figure says more about that.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import tracegen
from console import fill_index, machine, open_console, percentile, signed_in_super_admin

WARM_UP = 10
# An empty partition is read whole by any plan; that is no scan to speak of.
SMALL = 1_000
API, PAGE = "/admin/exceptions", "/console/exceptions/"
FIELDS = {
    "type": "exception_type",
    "org": "org_id",
    "method": "http_method",
    "path": "http_path",
    "function": "function_name",
    "group": "fingerprint",
}
# Searches whose whole page is measured too: rows, counts, facets and histogram, rendered.
WHOLE_PAGES = ("last 24 hours", "type, common", "type, rare", "method, common", "common word", "absent word")
BARS = {
    "list": 15,
    "filter": 40,
    "text": 80,
    "facets": 150,
    "facets, no query": 10,
    "trace": 150,
    "groups": 50,
    "group": 80,
    "trace 20 MB": 1000,
}


@dataclass(frozen=True)
class Case:
    """One thing to measure: `kind` names its bar, `query` is the search that it runs (None: it runs none)."""

    kind: str
    name: str
    call: Callable[[], object]
    query: str | None = None
    calls: int | None = None


@dataclass(frozen=True)
class Figure:
    kind: str
    name: str
    p50: float
    p95: float
    calls: int
    scans: list[str]
    busy: float

    @property
    def bar(self) -> int | None:
        return BARS.get(self.kind)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--traces", type=int, default=100_000)
    parser.add_argument("--calls", type=int, default=200)
    parser.add_argument("--only", default="", help="measure only the cases whose kind or name holds this")
    parser.add_argument("--keep", action="store_true", help="leave the database and the bucket")
    options = parser.parse_args()
    with open_console(keep=options.keep) as database:
        started = time.perf_counter()
        fill_index(options.traces)
        print(f"{options.traces:,} rows in {database} after {time.perf_counter() - started:.0f} s", flush=True)
        figures = [_measured(case, options.calls) for case in _cases() if options.only in f"{case.kind} {case.name}"]
        told = {"traces": options.traces, **machine()}
    print(
        json.dumps(
            told | {"gave_up": dict(GAVE_UP), "figures": [vars(figure) | {"bar": figure.bar} for figure in figures]}
        )
    )


def _measured(case: Case, calls: int) -> Figure:
    calls = case.calls or calls
    for _ in range(min(WARM_UP, calls)):
        case.call()
    pairs = [(_milliseconds(case.call), _milliseconds(_fixed_work)) for _ in range(calls)]
    taken, fixed = [list(times) for times in zip(*pairs, strict=True)]
    busy = round(percentile(fixed, 50) / BEST_FIXED_WORK, 1)
    scans = _sequential_scans(case.query) if case.query is not None else []
    p50, p95 = round(percentile(taken, 50), 1), round(percentile(taken, 95), 1)
    figure = Figure(case.kind, case.name, p50, p95, calls, scans, busy)
    late = "" if figure.bar is None else f"  bar {figure.bar:>4} {'MISSED' if figure.p95 > figure.bar else 'ok'}"
    scanned = f"  SEQUENTIAL SCAN of {', '.join(scans)}" if scans else ""
    print(f"{case.kind:<18} {case.name:<44} p50 {p50:>7.1f}  p95 {p95:>7.1f}  busy {busy}{late}{scanned}", flush=True)
    return figure


def _milliseconds(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return (time.perf_counter() - started) * 1000


def _fixed_work() -> None:
    for _ in range(2_000):
        hashlib.sha256(b"the same every time").hexdigest()


# Searches whose counting took too long for a page: it says "at least so many" then.
GAVE_UP: Counter[str] = Counter()
BEST_FIXED_WORK = min(_milliseconds(_fixed_work) for _ in range(200))


def _cases() -> Iterator[Case]:
    client = signed_in_super_admin()

    def get(path: str, **params: Any) -> Callable[[], object]:
        return lambda: _answered(client.get(path, params))

    yield Case("list", "page 1", get(API), query="")
    yield Case("list", "page 200", get(API, cursor=_cursor_of_page(client, 200)))
    yield Case("list", "page 1, 200 rows", get(API, limit=200), query="")
    searches = list(_searches())
    for kind, name, query in searches:
        yield Case(kind, name, get(API, q=query), query=query)
    yield Case("facets, no query", "counts alone", _summary(""))
    for _, name, query in searches:
        if "common" in name or "wildcard" in name or "hours" in name:
            yield Case("facets", f"counts alone, {name}", _summary(query))
    yield Case("page", "list page, no query", get(PAGE))
    yield Case("page", "list page 200, no query", get(PAGE, cursor=_cursor_of_page(client, 200)))
    for _, name, query in searches:
        if name in WHOLE_PAGES:
            yield Case("page", f"list page, {name}", get(PAGE, q=query))
    yield Case("page", "home", get("/console/"))
    yield from _group_cases(get)
    yield from _trace_cases(client)


def _group_cases(get: Callable[..., Callable[[], object]]) -> Iterator[Case]:
    """The list in its orders, the most and the least frequent group, and what is different about them."""
    for sort in ("last_seen", "count", "new", "spreading"):
        yield Case("groups", f"list of groups, {sort}", get(f"{API}/groups", sort=sort))
    yield Case("page", "page of groups", get(f"{PAGE}groups/"))
    for often, order in (("common", "DESC"), ("rare", "ASC")):
        group = _values(order)["group"]
        yield Case("group", f"group page, {often}", get(f"{PAGE}groups/{group}/"))
        yield Case("differences", f"differences of a {often} group", get(f"{API}/differences", q=f"group:{group}"))


def _searches() -> Iterator[tuple[str, str, str]]:
    """Kind, name and text of each search: the most and the least frequent value of every field, two fields, words."""
    often, seldom = _values("DESC"), _values("ASC")
    for key in FIELDS:
        yield "filter", f"{key}, common", f'{key}:"{often[key]}"'
        yield "filter", f"{key}, rare", f'{key}:"{seldom[key]}"'
    request = _one("SELECT request_id FROM trace ORDER BY timestamp LIMIT 1")
    yield "filter", "request, one of all", f"request:{request}"
    yield "filter", "request, absent", "request:req-never-seen"
    yield "filter", "two fields, common", f'type:"{often["type"]}" org:"{often["org"]}"'
    yield "filter", "two fields, rare", f'type:"{seldom["type"]}" org:"{seldom["org"]}"'
    yield "filter", "common with rare", f'function:"{often["function"]}" group:"{seldom["group"]}"'
    yield "filter", "path with wildcard", "path:/runs*"
    yield "filter", "last 24 hours", "after:-24h"
    number = "substring(message FROM '[0-9]{4,}')"
    rare = _one(f"SELECT {number} FROM trace WHERE {number} IS NOT NULL ORDER BY key LIMIT 1")
    yield "text", "common word", "upstream"
    yield "text", "two common words", "task upstream"
    yield "text", "rare word", str(rare)
    yield "text", "absent word", "nowhere-to-be-found"
    yield "text", "three letters", "org"
    yield "text", "common word, rare organization", f'upstream org:"{seldom["org"]}"'
    yield "text", "rare word, common organization", f'{rare} org:"{often["org"]}"'


def _values(order: str) -> dict[str, str]:
    return {
        key: _one(f"SELECT {column} FROM trace GROUP BY 1 ORDER BY count(*) {order}, 1 LIMIT 1")
        for key, column in FIELDS.items()
    }


def _one(statement: str) -> str:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(statement)
        return str(cursor.fetchone()[0])


def _cursor_of_page(client: Any, number: int) -> str:
    cursor = ""
    for _ in range(number - 1):
        page = _answered(client.get(API, {"cursor": cursor}, headers={"accept-encoding": "identity"}))
        cursor = page.json()["next_cursor"]
        if cursor is None:
            raise SystemExit(f"There are fewer than {number} pages: take more --traces.")
    return cursor


def _answered(response: Any) -> Any:
    if response.status_code != 200:
        raise SystemExit(f"{response.request['PATH_INFO']} answered {response.status_code}: {response.content[:500]!r}")
    return response


def _summary(text: str) -> Callable[[], object]:
    from dagy_console.exceptions.models import Trace
    from dagy_console.exceptions.search import parse
    from dagy_console.listing.summary import summarize

    def call() -> None:
        summary = summarize(Trace.objects.all(), parse(text))
        if summary.total is None:
            GAVE_UP[text] += 1

    return call


def _trace_cases(client: Any) -> Iterator[Case]:
    """Traces of 200 KB and 20 MB, written to the S3 server and indexed as the console does."""
    for name, size, calls in (("200 KB", 200_000, None), ("20 MB", 20_000_000, 20)):
        key = _stored_trace(size)
        kind = "trace" if size < 1_000_000 else f"trace {name}"
        yield Case(
            kind,
            f"trace page, {name}",
            lambda key=key: _answered(client.get(f"{PAGE}trace", {"key": key})),
            calls=calls,
        )


def _stored_trace(size: int) -> str:
    from dagy_console.core import storage
    from dagy_console.exceptions.bucket import traces_bucket
    from dagy_console.exceptions.index.indexing import indexed, put_traces
    from dagy_console.exceptions.reading.fields import extract_fields

    now = datetime.now(UTC) - timedelta(seconds=1)
    trace = tracegen.trace(size) | {"timestamp": now.strftime("%Y-%m-%dT%H:%M:%S.%fZ")}
    row = {"id": 17, "name": "a row of the request's body", "tags": ["one", "two"], "note": "x" * 100}
    trace["event"]["body"]["rows"] = [row] * ((size - len(json.dumps(trace))) // (len(json.dumps(row)) + 2))
    key = tracegen.s3_key(trace)
    bucket = traces_bucket()
    storage.put_object(
        bucket, key, json.dumps(trace).encode(), metadata=tracegen.s3_meta(trace), content_type="application/json"
    )
    stored = storage.get_object(bucket, key, first_bytes=256 * 1024)
    fields = extract_fields(
        stored.body, key=key, metadata=stored.metadata, last_modified=stored.last_modified, truncated=stored.truncated
    )
    put_traces([indexed(stored, fields)])
    return key


def _sequential_scans(text: str) -> list[str]:
    """The tables of more than a few rows that the search's first page would read whole."""
    from django.db import connection

    from dagy_console.exceptions.models import Trace
    from dagy_console.exceptions.search import TRACES, parse
    from dagy_console.listing.pages import DEFAULT_LIMIT

    rows = TRACES.keyset.newest_first(Trace.objects.filter(parse(text).as_q()).defer("search_text"))[
        : DEFAULT_LIMIT + 1
    ]
    (plan,) = json.loads(rows.explain(format="json"))
    scanned = [node["Relation Name"] for node in _nodes(plan["Plan"]) if node["Node Type"] == "Seq Scan"]
    with connection.cursor() as cursor:
        cursor.execute("SELECT relname FROM pg_class WHERE relname = ANY(%s) AND reltuples > %s", [scanned, SMALL])
        return sorted(name for (name,) in cursor.fetchall())


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from _nodes(child)


if __name__ == "__main__":
    main()

"""What a pass of reconciliation costs where nothing has changed, by how many objects there are.

    python -m embedded shell -- python benchmarks/quiet.py [--objects 10000 100000 1000000] [--passes 60] [--busy]

The bucket is a listing of our own making behind the console's S3 client: a server in a process of its own that speaks
ListObjectsV2 over the keys of as many traces, held in memory; the index holds the same. So what is timed is the
console: its requests, its comparing, its PostgreSQL. An S3 server's own time for a request comes on top of each.

Of each bucket the newest 10,000 are of the last 30 days and the rest is older, so that they differ in size alone; with
--busy all are of the last 30 days, so that the largest has a hundred times the traffic of the smallest.

Prints JSON: for each size the seconds of a pass, the processor time of this process, the requests and the objects
listed; and the growth from the smallest to the largest.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import threading
import time
from bisect import bisect_right
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.connection import Connection
from statistics import median
from typing import Any
from urllib.parse import parse_qs, urlsplit
from xml.sax.saxutils import escape

from console import fill_index, machine, open_console, percentile

WARM_UP = 5
RECENT = 10_000
Item = tuple[str, str, int, datetime]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--objects", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--passes", type=int, default=60)
    parser.add_argument("--busy", action="store_true")
    options = parser.parse_args()
    listing, theirs = multiprocessing.get_context("spawn").Pipe()
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(theirs,), daemon=True)
    server.start()
    os.environ["AWS_ENDPOINT_URL_S3"] = f"http://127.0.0.1:{listing.recv()}"
    sizes = []
    with open_console():
        told: dict[str, Any] = {"passes": options.passes, "busy": options.busy, **machine()}
        for count in options.objects:
            _fill(count, listing, busy=options.busy)
            sizes.append({"objects": count, **_passes(options.passes, listing)})
            print(sizes[-1], flush=True)
        listing.send([])
    growth = round(sizes[-1]["seconds_p50"] / sizes[0]["seconds_p50"], 2)
    print(json.dumps(told | {"sizes": sizes, "growth": growth}))


def _fill(count: int, listing: Connection, *, busy: bool) -> None:
    """The index, and the same objects in the listing; as after a whole round."""
    from django.db import connection
    from django.utils import timezone

    from dagy_console.exceptions.models import IndexState, Trace, TraceGroup

    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE trace, trace_group, trace_group_organization")
    recent = count if busy else min(count, RECENT)
    fill_index(recent)
    if recent < count:
        fill_index(count - recent, ago=timedelta(days=31))
    listing.send(list(Trace.objects.order_by("key").values_list("key", "etag", "size", "last_modified")))
    _requests(listing)  # it holds them when it answers
    TraceGroup.objects.update(canonical="named")
    IndexState.objects.update_or_create(pk=1, defaults={"complete_at": timezone.now(), "position": ""})


def _passes(count: int, listing: Connection) -> dict[str, Any]:
    from dagy_console.exceptions.index.reconciling import reconcile

    seconds, busy, listed = [], [], []
    for number in range(WARM_UP + count):
        if number == WARM_UP:
            _requests(listing)
        began, processor = time.perf_counter(), time.process_time()
        found = reconcile()
        if found is None or not found.is_quiet:
            raise SystemExit(f"this pass was not quiet: {found}")
        seconds.append(time.perf_counter() - began)
        busy.append(time.process_time() - processor)
        listed.append(found.listed)
    return {
        "seconds_p50": round(median(seconds[WARM_UP:]), 3),
        "seconds_p95": round(percentile(seconds[WARM_UP:], 95), 3),
        "processor_seconds": round(median(busy[WARM_UP:]), 3),
        "requests": round(_requests(listing) / count, 1),
        "listed": round(median(listed[WARM_UP:])),
    }


def _requests(listing: Connection) -> int:
    """How many the server had since it was last asked."""
    listing.send(None)
    answered: int = listing.recv()
    return answered


# --- the bucket


class Bucket:
    """Objects in key order, and how many requests there were."""

    def __init__(self) -> None:
        self.items: list[Item] = []
        self.keys: list[str] = []
        self.requests = 0

    def hold(self, items: list[Item]) -> None:
        self.items = sorted(items)
        self.keys = [key for key, *_ in self.items]

    def page(self, prefix: str, after: str, limit: int) -> tuple[list[Item], bool]:
        start = bisect_right(self.keys, max(prefix, after))
        end = min(start + limit, bisect_right(self.keys, f"{prefix}\U0010ffff"))
        return self.items[start:end], end < bisect_right(self.keys, f"{prefix}\U0010ffff")

    def names(self, prefix: str) -> list[str]:
        """What is right below the prefix."""
        found, at = [], bisect_right(self.keys, prefix)
        while at < len(self.keys) and self.keys[at].startswith(prefix):
            found.append(prefix + self.keys[at][len(prefix) :].split("/")[0] + "/")
            at = bisect_right(self.keys, f"{found[-1]}\U0010ffff")
        return found


def serve(parent: Connection) -> None:
    """Answers until the parent is gone."""
    bucket = Bucket()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"bucket": bucket}))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    parent.send(server.server_port)
    while True:
        try:
            told = parent.recv()
        except EOFError:
            return
        if told is None:
            parent.send(bucket.requests)
            bucket.requests = 0
        else:
            bucket.hold(told)


_NAME = "<CommonPrefixes><Prefix>{}</Prefix></CommonPrefixes>"


class _Handler(BaseHTTPRequestHandler):
    bucket: Bucket
    protocol_version = "HTTP/1.1"
    # Headers and body in one packet: else each answer waits for an acknowledgement.
    wbufsize = -1

    def do_GET(self) -> None:
        self.bucket.requests += 1
        asked = {name: values[-1] for name, values in parse_qs(urlsplit(self.path).query).items()}
        prefix = asked.get("prefix", "")
        if asked.get("delimiter"):
            names = "".join(_NAME.format(escape(name)) for name in self.bucket.names(prefix))
            return self._answer(f"<IsTruncated>false</IsTruncated>{names}")
        items, more = self.bucket.page(prefix, asked.get("start-after", ""), int(asked.get("max-keys", "1000")))
        objects = "".join(
            f"<Contents><Key>{escape(key)}</Key><LastModified>{when:%Y-%m-%dT%H:%M:%S.000Z}</LastModified>"
            f"<ETag>&quot;{etag}&quot;</ETag><Size>{size}</Size></Contents>"
            for key, etag, size, when in items
        )
        return self._answer(f"<IsTruncated>{str(more).lower()}</IsTruncated>{objects}")

    def do_PUT(self) -> None:
        self._answer("")

    def do_DELETE(self) -> None:
        self._answer("")

    def _answer(self, inner: str) -> None:
        body = f'<?xml version="1.0" encoding="UTF-8"?><ListBucketResult>{inner}</ListBucketResult>'.encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


if __name__ == "__main__":
    main()

"""What strangers may ask for, on a console that runs: how long each address takes, and what 24 callers at once do.

    make run                                          # in one terminal
    .local/venv/bin/python benchmarks/anonymous.py [--calls 200] [--run .local/run.json]

Percentiles are of `calls` calls over one connection after 10 of warm-up, compressed. Then 24 connections ask for
`/openapi.json` for 5 s, and `/health/live` is asked beside them. Prints JSON.
"""

from __future__ import annotations

import argparse
import json
import statistics
import threading
import time
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parents[1]
PATHS = ("/openapi.json", "/docs", "/health", "/health/live", "/accounts/login/")


def asked(connection: HTTPConnection, path: str) -> float:
    """Seconds of one call."""
    began = time.perf_counter()
    connection.request("GET", path, headers={"Accept-Encoding": "gzip"})
    answer = connection.getresponse()
    answer.read()
    assert answer.status == 200, (path, answer.status)
    return time.perf_counter() - began


def percentiles(host: str, path: str, calls: int) -> dict[str, float]:
    connection = HTTPConnection(host, timeout=60)
    took = sorted([asked(connection, path) for _ in range(calls + 10)][10:])
    return {"p50 ms": round(statistics.median(took) * 1e3, 1), "p95 ms": round(took[int(calls * 0.95)] * 1e3, 1)}


def beside_many(host: str, count: int, seconds: float) -> dict[str, float]:
    ends_at, made = time.monotonic() + seconds, [0] * count

    def ask(number: int) -> None:
        connection = HTTPConnection(host, timeout=60)
        while time.monotonic() < ends_at:
            asked(connection, "/openapi.json")
            made[number] += 1

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    connection, took = HTTPConnection(host, timeout=60), []
    while time.monotonic() < ends_at:
        took.append(asked(connection, "/health/live"))
        time.sleep(0.1)
    for thread in threads:
        thread.join()
    return {"calls a second": round(sum(made) / seconds), "/health/live: longest, seconds": round(max(took), 3)}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--calls", type=int, default=200)
    parser.add_argument("--run", type=Path, default=ROOT / ".local" / "run.json")
    given = parser.parse_args()
    address = urlsplit(json.loads(given.run.read_text())["url"]).netloc
    found = {path: percentiles(address, path, given.calls) for path in PATHS}
    print(json.dumps({**found, "24 at /openapi.json": beside_many(address, 24, 5)}, indent=2))

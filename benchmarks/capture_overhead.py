"""What capture adds to a failing request: milliseconds at the median and the 99th percentile.

    python benchmarks/capture_overhead.py [requests]        # needs AWS_ENDPOINT_URL_S3 and credentials

The same WSGI application fails 33 frames deep with a chained exception, bare and behind the middleware, taking turns,
100 requests a second, with S3 healthy, slow (each answer takes 2 s) and down (nothing listens). Where sentry-sdk
is installed, its WSGI integration is measured beside it with a transport that discards. Prints JSON.
"""

from __future__ import annotations

import gc
import io
import json
import os
import socket
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from wsgiref.util import setup_testing_defaults

import boto3

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from dagy import capture
from dagy.capture.wsgi import CaptureMiddleware

PAUSE_SECONDS = 0.01
WARM_UP = 30
SLOW_SECONDS = 2.0


def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
    return deep(30)


def deep(depth: int) -> list[bytes]:
    if depth:
        return deep(depth - 1)
    try:
        return {}["upstream"]
    except KeyError as error:
        raise ValueError("Invalid flow spec: task load has no upstream 7") from error


def one_request(app: Any) -> float:
    body = json.dumps({"flow": "etl", "params": {"day": "2026-01-15"}}).encode()
    environ: dict[str, Any] = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/runs",
        "QUERY_STRING": "limit=50",
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body),
        **{f"HTTP_X_HEADER_{number}": f"value {number}" for number in range(15)},
    }
    setup_testing_defaults(environ)
    started = time.perf_counter()
    try:
        app(environ, lambda *_: None)
    except ValueError:
        return time.perf_counter() - started
    raise AssertionError("the application did not fail")


def measure(app: Any, requests: int) -> dict[str, float]:
    """Bare and captured requests take turns, so that both meet the same machine."""
    bare, captured = [], []
    for number in range(requests + WARM_UP):
        pair = (one_request(application), one_request(app))
        if number >= WARM_UP:
            bare.append(pair[0])
            captured.append(pair[1])
        time.sleep(PAUSE_SECONDS)
    added = {name: (percentile(captured, at) - percentile(bare, at)) * 1000 for name, at in (("p50", 50), ("p99", 99))}
    return {f"added_{name}_ms": round(value, 4) for name, value in added.items()}


def percentile(values: list[float], at: int) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, len(ordered) * at // 100)]


def slow_server() -> str:
    """A socket that answers every PUT as S3 does, two seconds late."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)

    def serve(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            while connection.recv(1 << 20):
                time.sleep(SLOW_SECONDS)
                connection.sendall(b'HTTP/1.1 200 OK\r\nETag: "0"\r\nContent-Length: 0\r\n\r\n')

    def accept() -> None:
        while True:
            threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return f"http://127.0.0.1:{listener.getsockname()[1]}"


def unused_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


def measure_capture(bucket: str, endpoint: str, requests: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as spool:
        capture.configure(bucket=bucket, endpoint_url=endpoint, spool_dir=spool, exit_timeout=0.5)
        result: dict[str, Any] = measure(CaptureMiddleware(application), requests)
        stats = capture.stats()
        capture.configure(enabled=False)
    return {**result, "sent": stats.sent, "spooled": stats.spooled, "queued": stats.queued, "dropped": stats.dropped}


def measure_sentry(requests: int) -> dict[str, float] | str:
    try:
        import sentry_sdk
        from sentry_sdk.integrations.wsgi import SentryWsgiMiddleware
    except ImportError:
        return "sentry-sdk is not installed"
    discard: Callable[..., None] = lambda *_, **__: None  # noqa: E731
    sentry_sdk.init(dsn="http://key@127.0.0.1:9/1", transport=discard)
    return measure(SentryWsgiMiddleware(application), requests)


def main() -> None:
    requests = int(sys.argv[1]) if len(sys.argv) > 1 else 400
    endpoint = os.environ["AWS_ENDPOINT_URL_S3"]
    client = boto3.client("s3", endpoint_url=endpoint)
    bucket = f"bench-{uuid.uuid4().hex[:12]}"
    client.create_bucket(Bucket=bucket)
    gc.freeze()
    results = {
        "requests": requests,
        "healthy": measure_capture(bucket, endpoint, requests),
        "slow_2s": measure_capture(bucket, slow_server(), requests),
        "down": measure_capture(bucket, unused_port(), requests),
        "sentry_sdk": measure_sentry(requests),
    }
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        for item in page.get("Contents", ()):
            client.delete_object(Bucket=bucket, Key=item["Key"])
    client.delete_bucket(Bucket=bucket)
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()

"""Traces a second from capture to S3, beside a bare boto3 loop that puts the same bytes with as many threads.

    python benchmarks/capture_throughput.py [traces] [threads]     # needs AWS_ENDPOINT_URL_S3 and credentials

The two take turns in rounds, so that both meet the same machine; the bar is a ratio of 0.9. Capture's side holds all
of its work: snapshot, rendering, scrubbing, JSON, PUT. The bodies of the bare loop are those that capture stored.
Prints JSON.
"""

from __future__ import annotations

import json
import os
import sys
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import Any

import boto3
from botocore.config import Config
from tracegen import trace

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from dagy import capture

ROUNDS = 5


def failing(depth: int, synthetic: dict[str, Any]) -> None:
    if depth:
        failing(depth - 1, synthetic)
    raise type(synthetic["exception_type"], (Exception,), {})(synthetic["exception_message"])


def captured_round(bucket: str, start: int, count: int, threads: int) -> tuple[float, list[bytes]]:
    bodies: list[bytes] = []
    capture.configure(
        bucket=bucket,
        threads=threads,
        queue_size=count + 1,
        on_stored=lambda stored: bodies.append(json.dumps(stored.body).encode()),
    )
    warm_up(bucket)
    bodies.clear()
    started = time.perf_counter()
    for number in range(start, start + count):
        synthetic = trace(number)
        try:
            failing(12, synthetic)
        except Exception as error:  # noqa: BLE001 - whatever class the generator made
            capture.capture_exception(error, org_id=synthetic["org_id"], event=synthetic["event"])
    if not capture.flush(300) or capture.stats().sent < count:
        raise SystemExit(f"not all traces arrived: {capture.stats()}")
    return count / (time.perf_counter() - started), bodies


def warm_up(bucket: str) -> None:
    """boto3's import and first connections are not what is compared."""
    for _ in range(8):
        capture.capture_exception(ValueError("warm-up"))
    capture.flush(60)


def bare_round(bucket: str, bodies: list[bytes], threads: int) -> float:
    client = boto3.client("s3", config=Config(max_pool_connections=threads + 2, s3={"addressing_style": "path"}))

    def put(item: tuple[int, bytes]) -> None:
        name, body = item
        client.put_object(
            Bucket=bucket,
            Key=f"bare/{name:06d}.json",
            Body=body,
            ContentType="application/json",
            Metadata={"exception-type": "ValueError", "http-path": "/runs", "request-id": "r", "org-id": "org_1"},
        )

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(put, enumerate(bodies[:8])))
        started = time.perf_counter()
        list(pool.map(put, enumerate(bodies)))
        return len(bodies) / (time.perf_counter() - started)


def main() -> None:
    count = (int(sys.argv[1]) if len(sys.argv) > 1 else 500) // ROUNDS
    threads = int(sys.argv[2]) if len(sys.argv) > 2 else 4
    client = boto3.client("s3", endpoint_url=os.environ["AWS_ENDPOINT_URL_S3"])
    bucket = f"bench-{uuid.uuid4().hex[:12]}"
    client.create_bucket(Bucket=bucket)
    rates, bare_rates = [], []
    for number in range(ROUNDS):
        rate, bodies = captured_round(bucket, number * count, count, threads)
        rates.append(rate)
        bare_rates.append(bare_round(bucket, bodies, threads))
    capture.configure(enabled=False)
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        for item in page.get("Contents", ()):
            client.delete_object(Bucket=bucket, Key=item["Key"])
    client.delete_bucket(Bucket=bucket)
    ratios = [rate / bare for rate, bare in zip(rates, bare_rates, strict=True)]
    result = {
        "traces": count * ROUNDS,
        "threads": threads,
        "traces_per_second": round(median(rates), 1),
        "bare_puts_per_second": round(median(bare_rates), 1),
        "ratio": round(median(ratios), 3),
        "ratios": [round(ratio, 3) for ratio in ratios],
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()

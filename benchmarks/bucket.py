"""How fast the console follows and empties a bucket, as a ratio to a bare boto3 client with as many threads.

    python -m embedded shell -- python benchmarks/bucket.py [--objects 2000] [--rounds 3]

Rebuilding the index is set beside a loop of GETs of the same objects, and a deletion job (S3, index, progress and
audit) beside a loop of DeleteObjects requests of as many keys. The two take turns on the same server, so that both
meet the same machine; the figure is the median of the ratios of the rounds. A pass of reconciliation that finds nothing
new is timed besides. Prints JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import count
from statistics import median
from typing import Any

import boto3
import tracegen
from botocore.config import Config
from console import machine, moved, open_console

BAR = 0.8
_numbers = count()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--objects", type=int, default=2_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with open_console():
        keys = put_objects(options.objects)
        print(f"{len(keys):,} objects written", flush=True)
        result = {
            "objects": options.objects,
            **machine(),
            "reconcile": _compared_reads(keys, options.rounds),
            "quiet_pass_seconds": _quiet_pass(),
            "delete": _compared_deletions(keys, options.rounds),
        }
    print(json.dumps(result))


def put_objects(number: int) -> list[str]:
    """Traces of the last 30 days, but for the hours that every pass of reconciliation looks at; their keys."""
    from dagy_console.core import storage
    from dagy_console.exceptions.bucket import traces_bucket

    shift = datetime.now(UTC) - tracegen.T0 - timedelta(seconds=tracegen.SPAN_S, days=3)

    def put(index: int) -> str:
        trace = moved(tracegen.trace(index), shift)
        body = json.dumps(trace).encode()
        key = tracegen.s3_key(trace)
        storage.put_object(
            traces_bucket(), key, body, metadata=tracegen.s3_meta(trace), content_type="application/json"
        )
        return key

    with ThreadPoolExecutor(16) as pool:
        return list(pool.map(put, [next(_numbers) for _ in range(number)]))


def bare_client() -> Any:
    settings = Config(max_pool_connections=64, s3={"addressing_style": "path"}, read_timeout=120)
    return boto3.client("s3", endpoint_url=os.environ["AWS_ENDPOINT_URL_S3"], config=settings)


def lose_index() -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE trace")


def rebuild() -> None:
    """Everything read anew, into an index that knows nothing."""
    from dagy_console.exceptions.index import reconciling

    reconciling.rebuild(restart=True, report=lambda found, upto: None)


def bare_gets(keys: Sequence[str]) -> None:
    from dagy_console.exceptions.index.reconciling import THREADS

    client, bucket = bare_client(), os.environ["DAGY_TRACES_BUCKET"]
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(lambda key: client.get_object(Bucket=bucket, Key=key)["Body"].read(), keys))


def delete_by_job() -> None:
    """A deletion as the worker does it, of all that is in the index; planned before the clock starts."""
    from dagy_console.core import jobs
    from dagy_console.exceptions.deletions.services import JOB
    from dagy_console.exceptions.models import DeletionJob, Trace

    job = DeletionJob.objects.latest("created_at")
    jobs.run(JOB, job.id)
    job.refresh_from_db()
    if job.state != "succeeded" or Trace.objects.exists():
        raise SystemExit(f"the deletion ended as {job.state}: {job.problem}")


def plan_deletion() -> None:
    from dagy_console.core.actors import Actor, ActorKind
    from dagy_console.exceptions.deletions.services import start_deletion
    from dagy_console.exceptions.models import Trace
    from dagy_console.exceptions.search import parse

    actor = Actor(kind=ActorKind.USER, id="0", email="bench@dagy.example", super_admin=True)
    start_deletion(actor=actor, query=parse("path:/*"), expected_count=Trace.objects.count())


def bare_deletes(keys: Sequence[str]) -> None:
    from dagy_console.exceptions.deletions.running import BATCH, THREADS

    client, bucket = bare_client(), os.environ["DAGY_TRACES_BUCKET"]

    def delete(batch: Sequence[str]) -> None:
        objects: Any = [{"Key": key} for key in batch]
        client.delete_objects(Bucket=bucket, Delete={"Objects": objects})

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(delete, [keys[start : start + BATCH] for start in range(0, len(keys), BATCH)]))


def _compared_deletions(keys: list[str], rounds: int) -> dict[str, Any]:
    """Each side deletes `len(keys)` objects that are written anew, and not timed."""
    rates: list[tuple[float, float]] = []
    for number in range(rounds):
        if number:
            keys = put_objects(len(keys))
        rebuild()
        plan_deletion()
        ours = len(keys) / _seconds(delete_by_job)
        keys = put_objects(len(keys))
        rates.append((ours, len(keys) / _seconds(lambda keys=keys: bare_deletes(keys))))
    return _told("delete", rates)


def _compared_reads(keys: list[str], rounds: int) -> dict[str, Any]:
    rates: list[tuple[float, float]] = []
    # The first time pays for imports, connections and partitions.
    rebuild()
    for _ in range(rounds):
        lose_index()
        ours = len(keys) / _seconds(rebuild)
        rates.append((ours, len(keys) / _seconds(lambda: bare_gets(keys))))
    return _told("reconcile", rates)


def _quiet_pass() -> float:
    """One of reconciliation's passes, every 5 s, where nothing has changed since the last whole round."""
    from dagy_console.exceptions.index.reconciling import reconcile

    rebuild()
    took = round(median(_seconds(reconcile) for _ in range(5)), 3)
    print(f"quiet pass   {took} s", flush=True)
    return took


def _seconds(call: Callable[[], None]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def _told(name: str, rates: list[tuple[float, float]]) -> dict[str, Any]:
    ratios = [round(ours / bare, 2) for ours, bare in rates]
    told = {
        "per_second": round(median(ours for ours, _ in rates), 1),
        "bare_per_second": round(median(bare for _, bare in rates), 1),
        "ratio": median(ratios),
        "ratios": ratios,
        "bar": BAR,
    }
    print(f"{name:<12} {told}", flush=True)
    return told


if __name__ == "__main__":
    main()

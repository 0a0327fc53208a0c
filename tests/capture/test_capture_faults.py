"""Processes that are killed, and an S3 that is slow: what is on disk is not lost, and sent as fast as S3 takes it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from capture_support import Bucket, Proxy, raised, wait_until, waiting_in

from dagy import capture
from tests.timing import LONG

ROOT = Path(__file__).parents[2]
STORM = """
import time
from dagy import capture
from tests.timing import LONG
number = 0
while True:
    capture.capture_exception(ValueError(str(number)), request_id=f"r{number:05d}")
    print(number, time.time(), flush=True)
    number += 1
    time.sleep(0.005)
"""


@pytest.fixture
def proxy(s3_client: Any) -> Iterator[Proxy]:
    with Proxy(s3_client.meta.endpoint_url) as proxy:
        yield proxy


@pytest.mark.parametrize(("mode", "delay"), [("open", 0.0), ("open", 2.0), ("hang", 0.0), ("reset", 0.0)])
def test_a_killed_process_loses_what_came_in_the_last_50_ms_at_most(
    bucket: Bucket, proxy: Proxy, tmp_path: Path, mode: str, delay: float
) -> None:
    proxy.mode, proxy.delay = mode, delay
    environment = {
        **os.environ, "DAGY_TRACES_BUCKET": bucket.name, "DAGY_SPOOL_DIR": str(tmp_path),
        "AWS_ENDPOINT_URL_S3": proxy.url,
    }  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-c", STORM], stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment
    )
    assert process.stdout is not None
    lines = [process.stdout.readline().split() for _ in range(150 if LONG else 60)]
    killed_at = time.time()
    process.send_signal(signal.SIGKILL)
    lines += [line.split() for line in process.communicate(timeout=20)[0].splitlines() if line.count(" ") == 1]

    proxy.mode, proxy.delay = "open", 0.0
    capture.configure(bucket=bucket.name, spool_dir=tmp_path)
    wait_until(lambda: not waiting_in(tmp_path), 60)
    assert capture.flush(30)
    found = {key.rpartition("_")[2].removesuffix(".json") for key in bucket.keys()}
    lost = [float(at) for number, at in lines if f"r{int(number):05d}" not in found]
    assert all(killed_at - at < 0.05 for at in lost), (len(lost), killed_at - min(lost))


def test_a_slow_s3_loses_nothing_that_a_dead_one_would_not(
    stored_in: Callable[..., Bucket], proxy: Proxy, tmp_path: Path
) -> None:
    proxy.delay = 0.2
    stored_in(endpoint_url=proxy.url, spool_dir=tmp_path, exit_timeout=0.1)
    count = 2_000 if LONG else 500
    for number in range(count):
        capture.capture_exception(raised(ValueError(f"number {number}")))
        time.sleep(0.001)
    wait_until(lambda: capture.stats().queued <= 4, 10)
    stats = capture.stats()
    assert (stats.dropped, stats.failed) == (0, 0)
    assert stats.sent + stats.spooled == count
    # What is on its way arrives before the bucket goes.
    capture.shutdown()
    time.sleep(2)


def test_a_slow_s3_is_sent_to_by_all_threads(stored_in: Callable[..., Bucket], proxy: Proxy, tmp_path: Path) -> None:
    proxy.mode = "reset"
    bucket = stored_in(endpoint_url=proxy.url, spool_dir=tmp_path, retry_seconds=0.02, probe_seconds=0.1)
    for number in range(12):
        capture.capture_exception(raised(ValueError(f"number {number}")))
    assert capture.flush(10)
    proxy.mode, proxy.delay = "open", 0.5
    started = time.monotonic()
    wait_until(lambda: capture.stats().sent == 12, 30)
    # A PUT takes two answers, hence 1 s: one thread alone would take 12 s.
    assert time.monotonic() - started < 6
    assert len(bucket.keys()) == 12


def test_an_error_in_the_recording_thread_does_not_end_it(bucket: Bucket, tmp_path: Path) -> None:
    class Broken:
        @property
        def timestamp(self) -> Any:
            raise MemoryError

    capture.configure(bucket=bucket.name, spool_dir=tmp_path)
    capture.capture_exception(raised(ValueError("first")))
    writer = capture.api._writer
    assert writer is not None
    writer.put(Broken())  # type: ignore[arg-type]
    capture.capture_exception(raised(ValueError("second")))
    assert capture.flush(20)
    assert len(bucket.keys()) == 2
    assert capture.stats().failed == 1

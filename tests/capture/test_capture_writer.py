from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from capture_support import Bucket, Proxy, raised, wait_until, waiting_in

from dagy import capture
from dagy.capture.journal import Journal, SpoolFullError
from dagy.capture.types import BuiltTrace


@pytest.fixture
def proxy(s3_client: Any) -> Iterator[Proxy]:
    with Proxy(s3_client.meta.endpoint_url) as proxy:
        yield proxy


def capture_many(count: int, *, start: int = 0) -> list[str]:
    ids = []
    for number in range(start, start + count):
        request_id = capture.capture_exception(raised(ValueError(f"number {number}")), request_id=f"r{number:05d}")
        ids.append(str(request_id))
    return ids


def test_everything_spooled_while_s3_is_down_arrives_later_in_order_and_none_twice(
    stored_in: Callable[..., Bucket], proxy: Proxy, tmp_path: Path
) -> None:
    drained: list[str] = []
    proxy.mode = "reset"
    bucket = stored_in(
        endpoint_url=proxy.url,
        spool_dir=tmp_path / "spool",
        retry_seconds=0.02,
        probe_seconds=0.2,
        threads=1,
        on_stored=lambda trace: drained.append(trace.metadata["request-id"]),
    )
    ids = capture_many(60)
    assert capture.flush(20)
    stats = capture.stats()
    assert (stats.spooled, stats.sent, stats.dropped, stats.failed) == (60, 0, 0, 0)
    assert stats.last_error is not None
    assert len(waiting_in(tmp_path / "spool")) == 60

    proxy.mode = "open"
    wait_until(lambda: capture.stats().sent == 60, 30)
    assert waiting_in(tmp_path / "spool") == []
    # What was tried while S3 was down waits for its turn: all others are in order.
    assert sorted(drained) == sorted(ids)
    assert sum(one > next_one for one, next_one in pairwise(drained)) <= 12
    assert sorted(trace["request_id"] for trace in bucket.traces()) == sorted(ids)
    assert capture.stats().last_error is None


def test_the_next_start_sends_what_the_last_one_spooled(
    stored_in: Callable[..., Bucket], proxy: Proxy, tmp_path: Path
) -> None:
    proxy.mode = "reset"
    bucket = stored_in(endpoint_url=proxy.url, spool_dir=tmp_path, retry_seconds=0.01, probe_seconds=60)
    ids = capture_many(5)
    capture.shutdown()
    assert len(waiting_in(tmp_path)) == 5
    capture.configure(bucket=bucket.name, spool_dir=tmp_path)
    wait_until(lambda: not waiting_in(tmp_path))
    assert sorted(trace["request_id"] for trace in bucket.traces()) == ids


def test_two_processes_drain_one_spool_without_sending_twice(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for start in range(0, 40, 10):
        journal = Journal(tmp_path, max_bytes=10**7)
        for number in range(start, start + 10):
            journal.append(built(number))
        journal.close()
    left = [str(path) for path in tmp_path.iterdir()]
    script = (
        "import os, time; from dagy import capture\n"
        "sent = []\n"
        "capture.configure(on_stored=lambda t: sent.append(t.key))\n"
        "deadline = time.time() + 30\n"
        f"while any(os.path.exists(path) for path in {left!r}) and time.time() < deadline: time.sleep(0.02)\n"
        "time.sleep(0.2); print(*sent)\n"
    )
    monkeypatch.setenv("DAGY_TRACES_BUCKET", bucket.name)
    monkeypatch.setenv("DAGY_SPOOL_DIR", str(tmp_path))
    processes = [
        subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, cwd=root())
        for _ in range(2)
    ]
    sent = [key for process in processes for key in process.communicate(timeout=60)[0].split()]
    assert len(sent) == len(set(sent)) == 40
    assert sorted(sent) == sorted(bucket.keys())


def test_what_a_living_process_holds_is_left_alone(bucket: Bucket, tmp_path: Path) -> None:
    living = Journal(tmp_path, max_bytes=10**7)
    living.append(built(1))
    capture.configure(bucket=bucket.name, spool_dir=tmp_path)
    capture_many(1, start=2)
    assert capture.flush(10)
    assert [trace["request_id"] for trace in bucket.traces()] == ["r00002"]
    assert len(waiting_in(tmp_path)) == 1
    living.close()


def test_a_torn_end_is_left_out_and_the_rest_is_sent(
    bucket: Bucket, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    journal = Journal(tmp_path, max_bytes=10**7)
    for number in range(3):
        journal.append(built(number))
    journal.close()
    [path] = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:-5])
    capture.configure(bucket=bucket.name, spool_dir=tmp_path)
    wait_until(lambda: not path.exists())
    assert sorted(trace["request_id"] for trace in bucket.traces()) == ["r00000", "r00001"]
    assert "not written whole" in caplog.text


def test_a_damaged_record_is_left_out_and_counted(bucket: Bucket, tmp_path: Path) -> None:
    journal = Journal(tmp_path, max_bytes=10**7)
    for number in range(3):
        journal.append(built(number))
    journal.close()
    [path] = tmp_path.iterdir()
    path.write_bytes(path.read_bytes().replace(b"r00001", b"r0xxx1"))
    capture.configure(bucket=bucket.name, spool_dir=tmp_path)
    wait_until(lambda: not path.exists())
    assert sorted(trace["request_id"] for trace in bucket.traces()) == ["r00000", "r00002"]
    assert capture.stats().failed == 1


def test_a_broken_file_in_the_spool_holds_up_nothing(bucket: Bucket, tmp_path: Path) -> None:
    (tmp_path / "0000-broken.trace").write_bytes(b"\x00rubbish")
    (tmp_path / "0000-broken.journal").write_bytes(b"\x00rubbish")
    journal = Journal(tmp_path, max_bytes=10**7)
    journal.append(built(1))
    journal.close()
    capture.configure(bucket=bucket.name, spool_dir=tmp_path)
    wait_until(lambda: len(bucket.keys()) == 1)
    capture.shutdown()
    assert [path.name for path in tmp_path.iterdir()] == ["0000-broken.trace.rejected"]


def test_what_version_0_1_0_left_in_the_spool_is_sent(bucket: Bucket, tmp_path: Path) -> None:
    for number, end in enumerate([".trace", ".r2.trace", ".trace.claimed-host.1.abc"]):
        head = json.dumps({"key": built(number).key, "metadata": built(number).metadata}).encode()
        (tmp_path / f"2026011510300012345-{number}{end}").write_bytes(head + b"\n" + built(number).data)
    capture.configure(bucket=bucket.name, spool_dir=tmp_path)
    wait_until(lambda: len(bucket.keys()) == 3)
    capture.shutdown()
    assert list(tmp_path.iterdir()) == []


def test_the_spool_is_bounded_in_bytes_and_what_is_over_is_counted(
    stored_in: Callable[..., Bucket], proxy: Proxy, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    proxy.mode = "reset"
    stored_in(endpoint_url=proxy.url, spool_dir=tmp_path, spool_max_bytes=20_000, retry_seconds=0.01, queue_size=20)
    for number in range(60):
        capture_many(1, start=number)
        time.sleep(0.005)
    assert not capture.flush(0.5)
    stats = capture.stats()
    assert 0 < stats.spooled < 40
    assert stats.dropped > 0
    assert stats.spooled + stats.dropped + stats.queued == 60
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 20_000
    assert caplog.text.count("spool is full") == 1


def test_spool_files_are_for_their_owner_only(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "new" / "spool", max_bytes=10**6)
    journal.append(built(1))
    [path] = (tmp_path / "new" / "spool").iterdir()
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    with pytest.raises(SpoolFullError):
        Journal(tmp_path / "new" / "spool", max_bytes=10).append(built(2))
    journal.close()


def test_a_spool_that_cannot_be_used_is_reported_at_once_and_traces_wait_in_memory(
    stored_in: Callable[..., Bucket], proxy: Proxy, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    proxy.mode = "reset"
    bucket = stored_in(endpoint_url=proxy.url, spool_dir=tmp_path / "file", retry_seconds=0.01, probe_seconds=0.1)
    assert "the spool directory can't be used" in caplog.text
    capture_many(3)
    assert not capture.flush(1)
    assert (capture.stats().queued, capture.stats().failed) == (3, 0)
    proxy.mode = "open"
    assert capture.flush(20)
    assert len(bucket.keys()) == 3


def test_without_a_spool_traces_wait_in_memory_while_s3_is_down(stored_in: Callable[..., Bucket], proxy: Proxy) -> None:
    proxy.mode = "reset"
    bucket = stored_in(endpoint_url=proxy.url, retry_seconds=0.01, probe_seconds=0.2)
    capture_many(50)
    assert not capture.flush(2)
    assert (capture.stats().queued, capture.stats().failed, capture.stats().dropped) == (50, 0, 0)
    proxy.mode = "open"
    assert capture.flush(20)
    assert len(bucket.keys()) == 50


def test_a_full_disk_loses_nothing_while_s3_answers(
    stored_in: Callable[..., Bucket], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = stored_in(spool_dir=tmp_path, spool_max_bytes=10)
    ids = capture_many(100)
    assert capture.flush(30)
    assert sorted(trace["request_id"] for trace in bucket.traces()) == ids
    assert (capture.stats().dropped, capture.stats().failed) == (0, 0)


def test_a_full_queue_drops_counts_and_logs_once_without_waiting(
    stored_in: Callable[..., Bucket], proxy: Proxy, caplog: pytest.LogCaptureFixture
) -> None:
    proxy.mode = "hang"
    stored_in(endpoint_url=proxy.url, queue_size=10, threads=2, exit_timeout=0.1)
    started = time.perf_counter()
    with caplog.at_level(logging.WARNING):
        capture_many(200)
    assert time.perf_counter() - started < 1.0
    stats = capture.stats()
    assert stats.queued <= 12
    assert stats.dropped >= 185
    assert stats.queued + stats.dropped + stats.failed == 200
    assert caplog.text.count("queue of 10 is full") == 1


def test_a_burst_against_a_slow_s3_goes_to_the_spool_instead_of_being_dropped(
    stored_in: Callable[..., Bucket], proxy: Proxy, tmp_path: Path
) -> None:
    proxy.delay = 0.5
    bucket = stored_in(endpoint_url=proxy.url, queue_size=20, threads=2, spool_dir=tmp_path, retry_seconds=0.02)
    ids = []
    for number in range(60):
        ids += capture_many(1, start=number)
        time.sleep(0.01)
    assert capture.stats().dropped == 0
    assert capture.stats().spooled > 40
    proxy.delay = 0.0
    assert capture.flush(20)
    wait_until(lambda: not waiting_in(tmp_path), 30)
    assert sorted(trace["request_id"] for trace in bucket.traces()) == ids


@pytest.mark.slow("waits for the time-outs of the S3 client")
def test_a_silent_s3_is_given_up_after_its_time_outs_and_the_trace_is_kept(
    stored_in: Callable[..., Bucket], proxy: Proxy, tmp_path: Path
) -> None:
    proxy.mode = "hang"
    stored_in(endpoint_url=proxy.url, spool_dir=tmp_path)
    capture_many(1)
    assert capture.flush(9)
    assert len(waiting_in(tmp_path)) == 1


def test_shutdown_is_bounded_and_keeps_what_hangs(
    stored_in: Callable[..., Bucket], proxy: Proxy, tmp_path: Path
) -> None:
    proxy.mode = "hang"
    stored_in(endpoint_url=proxy.url, spool_dir=tmp_path, exit_timeout=0.3, threads=2)
    capture_many(6)
    started = time.monotonic()
    capture.shutdown()
    assert time.monotonic() - started < 2.5
    assert len(waiting_in(tmp_path)) == 6


def test_a_missing_bucket_is_reported_and_the_trace_kept(s3_client: Any, tmp_path: Path) -> None:
    capture.configure(bucket="capture-no-such-bucket", spool_dir=tmp_path)
    capture_many(1)
    assert capture.flush(10)
    assert capture.stats().last_error is not None
    assert "NoSuchBucket" in str(capture.stats().last_error)
    assert len(waiting_in(tmp_path)) == 1


def test_the_failing_thread_waits_for_nothing(stored_in: Callable[..., Bucket], proxy: Proxy, tmp_path: Path) -> None:
    stored_in(endpoint_url=proxy.url, spool_dir=tmp_path, exit_timeout=0.1)
    capture_many(20)
    for mode, delay in (("open", 0.0), ("open", 2.0), ("reset", 0.0)):
        proxy.mode, proxy.delay = mode, delay
        waited, worked = [], []
        for number in range(200):
            error = raised(ValueError(str(number)))
            started, cpu = time.perf_counter(), time.thread_time()
            capture.capture_exception(error, event={"headers": {"a": "b"}, "body": {"x": [1, 2, 3]}})
            worked.append(time.thread_time() - cpu)
            waited.append(time.perf_counter() - started)
            time.sleep(0.002)
        # The work is bounded tightly; the clock loosely, for other tests run on this machine at the same time.
        assert sorted(worked)[100] < 0.001, (mode, delay)
        assert sorted(worked)[198] < 0.005, (mode, delay)
        assert sorted(waited)[100] < 0.005, (mode, delay)
        assert sorted(waited)[190] < 0.05, (mode, delay)


def test_a_signal_handler_may_capture_while_the_main_thread_does(stored_in: Callable[..., Bucket]) -> None:
    bucket = stored_in()
    before = signal.signal(signal.SIGALRM, lambda *_: capture.capture_exception(raised(KeyError("in a signal"))))
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    try:
        capture_many(40)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert capture.flush(60)
    assert len([trace for trace in bucket.traces() if trace["exception_type"] == "ValueError"]) == 40


def test_a_forked_child_stores_its_own_and_the_parent_its_own(stored_in: Callable[..., Bucket]) -> None:
    bucket = stored_in()
    capture_many(5)
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            capture_many(5, start=100)
            code = 0 if capture.flush(20) and capture.stats().sent == 5 else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    capture_many(5, start=5)
    assert capture.flush(20)
    expected = [f"r{number:05d}" for number in [*range(10), *range(100, 105)]]
    assert sorted(trace["request_id"] for trace in bucket.traces()) == expected


def test_forks_in_the_middle_of_a_storm_never_hang(stored_in: Callable[..., Bucket]) -> None:
    stored_in(client_factory=lambda: NoClient(), queue_size=2_000)
    stop = threading.Event()

    def storm() -> None:
        while not stop.is_set():
            capture.capture_exception(raised(ValueError()))
            time.sleep(0.001)

    threads = [threading.Thread(target=storm) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(10):
            pid = os.fork()
            if pid == 0:
                capture.capture_exception(raised(ValueError()))
                os._exit(0 if capture.flush(20) else 3)
            wait_until(lambda pid=pid: os.waitpid(pid, os.WNOHANG) == (pid, 0), 25)
    finally:
        stop.set()
        for thread in threads:
            thread.join()


class NoClient:
    """A client that costs nothing, for the load of storms; nothing is asserted about what it stores."""

    def put_object(self, **_: Any) -> dict[str, Any]:
        return {}


def test_what_was_captured_last_is_flushed_at_exit(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGY_TRACES_BUCKET", bucket.name)
    script = "from dagy import capture\ntry: 1/0\nexcept Exception: capture.capture_exception(org_id='org_9')\n"
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60, cwd=root())
    assert bucket.only()["exception_type"] == "ZeroDivisionError"
    assert bucket.keys()[0].startswith("exceptions/org_9/")


def test_importing_capture_loads_the_standard_library_only() -> None:
    script = (
        "import sys; before = set(sys.modules)\n"
        "from dagy import capture\n"
        "import dagy.capture.wsgi, dagy.capture.asgi, dagy.capture.aws_lambda\n"
        "names = {name.partition('.')[0] for name in set(sys.modules) - before}\n"
        "print(*sorted(name for name in names if name not in sys.stdlib_module_names and name != 'dagy'))\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", script], check=True, timeout=60, cwd=root(), capture_output=True, text=True
    )
    assert result.stdout.strip() == ""


def test_many_threads_lose_nothing(stored_in: Callable[..., Bucket]) -> None:
    bucket = stored_in()
    threads = [threading.Thread(target=capture_many, args=(10,), kwargs={"start": 100 * n}) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert capture.flush(60)
    assert len(bucket.keys()) == 80
    stats = capture.stats()
    assert (stats.sent, stats.queued, stats.dropped, stats.failed, stats.last_error) == (80, 0, 0, 0, None)


def built(number: int) -> BuiltTrace:
    body = {"request_id": f"r{number:05d}"}
    return BuiltTrace(
        key=capture.s3_key(org_id="org_1", timestamp=WHEN, request_id=f"r{number:05d}"),
        metadata={"request-id": f"r{number:05d}", "timestamp": "2026-01-15T10:30:00.123456Z"},
        body=body,
        data=json.dumps(body).encode(),
    )


def root() -> Path:
    return Path(__file__).parents[2]


WHEN = capture.parse_key("exceptions/_none/2026/01/15/103000123456_a.json").timestamp  # type: ignore[union-attr]

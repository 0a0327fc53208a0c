"""What S3 refuses of one trace is that trace's trouble alone; what it refuses of all is an outage."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from capture_support import Bucket, raised, wait_until, waiting_in
from gatekeeper import Gatekeeper

from dagy import capture
from dagy.capture.journal import Journal
from dagy.capture.types import BuiltTrace


@pytest.fixture
def gate(s3_client: Any) -> Iterator[Gatekeeper]:
    with Gatekeeper(s3_client.meta.endpoint_url) as gate:
        yield gate


@pytest.fixture
def configured(stored_in: Callable[..., Bucket], gate: Gatekeeper, tmp_path: Path) -> Bucket:
    return stored_in(endpoint_url=gate.url, spool_dir=tmp_path, retry_seconds=0.02, probe_seconds=0.2)


def fail(*request_ids: str) -> None:
    for request_id in request_ids:
        capture.capture_exception(raised(ValueError(request_id)), request_id=request_id)


def stored(bucket: Bucket) -> list[str]:
    return sorted(key.rpartition("_")[2].removesuffix(".json") for key in bucket.keys())


def set_aside(directory: Path) -> list[Path]:
    return sorted(directory.glob("*.rejected"))


@pytest.mark.parametrize(
    "answer",
    [(400, "InvalidArgument"), (403, "AccessDenied"), (403, "SignatureDoesNotMatch"), (412, "PreconditionFailed")],
    ids=lambda answer: answer[1],
)
def test_a_refused_trace_in_the_spool_holds_up_neither_the_others_nor_live_traffic(
    configured: Bucket, gate: Gatekeeper, tmp_path: Path, answer: tuple[int, str]
) -> None:
    gate.refuse = {"": (503, "ServiceUnavailable")}
    fail("bad", *(f"good{number}" for number in range(5)))
    assert capture.flush(10)
    assert len(waiting_in(tmp_path)) == 6

    gate.refuse = {"_bad": answer}
    wait_until(lambda: len(stored(configured)) == 5)
    spooled = capture.stats().spooled
    for number in range(10):
        fail(f"live{number}")
        assert capture.flush(10)
    assert len(stored(configured)) == 15
    assert capture.stats().spooled == spooled

    # One that S3 denies is set aside once S3 has taken others since.
    def is_set_aside() -> bool:
        time.sleep(0.05)
        fail("later")
        return capture.flush(10) and bool(set_aside(tmp_path))

    wait_until(is_set_aside)
    assert waiting_in(tmp_path) == []
    assert b"bad" in set_aside(tmp_path)[0].read_bytes()
    assert (capture.stats().rejected, capture.stats().failed) == (1, 1)


def test_a_live_trace_that_is_refused_is_tried_again_then_set_aside_and_said_so(
    configured: Bucket, gate: Gatekeeper, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    gate.refuse = {"_bad": (400, "InvalidArgument")}
    with caplog.at_level(logging.WARNING):
        fail("bad")
        wait_until(lambda: gate.puts_of("_bad") == 2)
        assert "InvalidArgument" in str(capture.stats().last_error)
        fail("good")
        wait_until(lambda: "set aside" in caplog.text)
    assert len(set_aside(tmp_path)) == 1
    assert gate.puts_of("_bad") == 5
    assert stored(configured) == ["good"]


def test_a_trace_refused_for_a_moment_arrives(configured: Bucket, gate: Gatekeeper, tmp_path: Path) -> None:
    gate.refuse = {"_odd": (400, "InvalidArgument")}
    fail("odd")
    wait_until(lambda: gate.puts_of("_odd") >= 2)
    gate.refuse = {}
    wait_until(lambda: stored(configured) == ["odd"])
    wait_until(lambda: waiting_in(tmp_path) == [])
    assert capture.stats().rejected == 0


@pytest.mark.parametrize(
    "answer",
    [(403, "AccessDenied"), (403, "InvalidAccessKeyId"), (400, "ExpiredToken"), (404, "NoSuchBucket"),
     (429, "TooManyRequests"), (503, "SlowDown"), (401, "Unauthorized"), (301, "PermanentRedirect")],
    ids=lambda answer: answer[1],
)  # fmt: skip
def test_what_s3_refuses_of_all_is_an_outage_and_nothing_is_set_aside(
    configured: Bucket, gate: Gatekeeper, tmp_path: Path, answer: tuple[int, str]
) -> None:
    gate.refuse = {"": answer}
    names = [f"r{number:02d}" for number in range(30)]
    fail(*names)
    assert capture.flush(10)
    # Long enough for far more tries than one trace has.
    wait_until(lambda: len(gate.seen) > 12)
    assert set_aside(tmp_path) == []
    assert len(waiting_in(tmp_path)) == 30
    gate.refuse = {}
    wait_until(lambda: stored(configured) == names)
    wait_until(lambda: waiting_in(tmp_path) == [])
    assert (capture.stats().failed, capture.stats().rejected) == (0, 0)


def test_while_all_is_denied_s3_is_left_alone_most_of_the_time(
    stored_in: Callable[..., Bucket], gate: Gatekeeper, tmp_path: Path
) -> None:
    stored_in(endpoint_url=gate.url, spool_dir=tmp_path, retry_seconds=2, probe_seconds=60)
    gate.refuse = {"": (403, "AccessDenied")}
    fail(*(f"r{number:02d}" for number in range(60)))
    assert capture.flush(10)
    assert len(gate.seen) <= 12


def trace(number: int) -> BuiltTrace:
    data = b'{"padding": "' + b"x" * 980 + b'"}'
    return BuiltTrace(key=f"exceptions/_none/{number}.json", metadata={}, body={}, data=data)


def test_files_set_aside_are_bounded_and_leave_the_room_to_the_others(tmp_path: Path) -> None:
    journal = Journal(tmp_path, max_bytes=100_000)
    for number in range(300):
        journal.append(trace(number))
        record = journal.next()
        assert record is not None
        journal.set_aside(record, trace(number))
    kept = set_aside(tmp_path)
    assert 5 <= len(kept) <= 10
    assert b"/299.json" in kept[-1].read_bytes()
    assert kept[-1].stat().st_mode & 0o777 == 0o600
    assert journal.rejected == 300
    for number in range(80):
        journal.append(trace(number))
    journal.close()


def test_a_trace_too_large_for_s3_is_set_aside_at_once(configured: Bucket, gate: Gatekeeper, tmp_path: Path) -> None:
    gate.refuse = {"_big": (400, "EntityTooLarge")}
    fail("big")
    assert capture.flush(10)
    assert gate.puts_of("_big") == 1
    assert len(set_aside(tmp_path)) == 1
    assert capture.stats().rejected == 1


def test_what_was_refused_comes_after_what_was_not(tmp_path: Path) -> None:
    journal = Journal(tmp_path, max_bytes=100_000)
    for number in range(3):
        journal.append(trace(number))
    first = journal.next()
    assert first is not None
    journal.put_back(first, 0.3)
    others = [journal.next(), journal.next(), journal.next()]
    assert others[0] is not None
    assert others[1] is not None
    assert first.offset < others[0].offset < others[1].offset
    assert others[2] is None
    wait_until(journal.ready, 2)
    assert journal.next() is first
    assert first.tries == 1
    journal.close()


def test_a_set_aside_trace_is_tried_again_once_it_is_renamed(
    configured: Bucket, gate: Gatekeeper, tmp_path: Path
) -> None:
    gate.refuse = {"_big": (400, "EntityTooLarge")}
    fail("big")
    wait_until(lambda: len(set_aside(tmp_path)) == 1)
    capture.shutdown()
    [path] = set_aside(tmp_path)
    path.rename(path.with_suffix(""))
    capture.configure(bucket=configured.name, spool_dir=tmp_path)
    wait_until(lambda: stored(configured) == ["big"])
    wait_until(lambda: waiting_in(tmp_path) == [])


def test_the_pause_that_s3_asks_for_is_kept(configured: Bucket, gate: Gatekeeper) -> None:
    gate.headers = {"Retry-After": "2"}
    gate.refuse = {"": (503, "SlowDown")}
    fail("first")
    wait_until(lambda: len(gate.seen) == 1)
    time.sleep(1.5)
    assert len(gate.seen) == 1
    gate.refuse = {}
    wait_until(lambda: stored(configured) == ["first"])


def test_a_trace_that_s3_breaks_on_holds_up_no_other(configured: Bucket, gate: Gatekeeper) -> None:
    gate.refuse = {"_poison": (500, "InternalError")}
    fail("poison", *(f"good{number}" for number in range(20)))
    wait_until(lambda: len(stored(configured)) == 20, 10)
    assert capture.stats().rejected == 0

from __future__ import annotations

import json
import logging
import math
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from capture_support import Bucket, raised

from dagy import capture
from dagy.capture.bodies import RawBody
from dagy.capture.render import render_traceback
from dagy.capture.scrub import Scrubber
from dagy.capture.snapshot import Snapshot, freeze, snapshot_exception
from dagy.capture.trace import build_trace
from dagy.capture.types import BuiltTrace


def built(error: BaseException, **fields: Any) -> BuiltTrace:
    snapshot = Snapshot(
        timestamp=datetime(2026, 1, 15, 10, 30, 0, 123456, tzinfo=UTC),
        request_id="abc-123-def",
        exception=snapshot_exception(error),
        function_name="dagy-api-prod",
        **fields,
    )
    return build_trace(snapshot, Scrubber())


def parsed(trace: BuiltTrace) -> dict[str, Any]:
    assert len(trace.data) < 4 * 1024 * 1024

    def no_constant(name: str) -> None:
        raise AssertionError(f"{name} is not JSON")

    body: dict[str, Any] = json.loads(trace.data, parse_constant=no_constant)
    return body


def test_a_captured_exception_lies_in_s3_as_the_contract_says(stored_in: Callable[..., Bucket]) -> None:
    bucket = stored_in(function_name="dagy-api-prod")
    try:
        raise ValueError("Invalid flow spec")
    except ValueError:
        answer = capture.capture_exception(
            org_id="org_123", request_id="abc-123", http_method="POST", http_path="/runs", run_id="run_1", task_id="t"
        )
    assert answer == "abc-123"
    assert capture.flush(10)

    [key] = bucket.keys()
    trace = bucket.only()
    place = capture.parse_key(key)
    assert place is not None
    assert (place.org_id, place.request_id) == ("org_123", "abc-123")
    assert trace["timestamp"] == place.timestamp.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    assert trace["exception_type"] == "ValueError"
    assert trace["exception_message"] == "Invalid flow spec"
    assert trace["traceback"].startswith("Traceback (most recent call last):\n")
    assert trace["traceback"].endswith("ValueError: Invalid flow spec")
    assert (trace["http_method"], trace["http_path"], trace["org_id"]) == ("POST", "/runs", "org_123")
    assert trace["function_name"] == "dagy-api-prod"
    assert trace["event"] == {"run_id": "run_1", "task_id": "t"}
    head = bucket.client.head_object(Bucket=bucket.name, Key=key)
    assert head["ContentType"] == "application/json"
    assert capture.decode_metadata(head["Metadata"]) == {
        "exception-type": "ValueError",
        "http-method": "POST",
        "http-path": "/runs",
        "request-id": "abc-123",
        "timestamp": trace["timestamp"],
        "org-id": "org_123",
    }


def test_on_stored_gets_what_lies_in_s3(stored_in: Callable[..., Bucket]) -> None:
    stored: list[capture.StoredTrace] = []
    bucket = stored_in(on_stored=stored.append)
    capture.capture_exception(raised(KeyError("ключ")), http_path="/büro")
    assert capture.flush(10)
    [trace] = stored
    head = bucket.client.head_object(Bucket=bucket.name, Key=trace.key)
    assert trace.size == head["ContentLength"]
    assert trace.etag == head["ETag"].strip('"')
    assert abs((trace.last_modified - head["LastModified"]).total_seconds()) <= 1
    assert trace.body == bucket.only()
    assert trace.metadata["http-path"] == "/büro"
    assert trace.metadata["org-id"] == "_none"
    assert set(trace.metadata) == {
        "exception-type", "http-method", "http-path", "request-id", "timestamp", "org-id",
    }  # fmt: skip


def test_an_on_stored_that_fails_loses_nothing(stored_in: Callable[..., Bucket]) -> None:
    def broken(_: capture.StoredTrace) -> None:
        raise RuntimeError("no")

    bucket = stored_in(on_stored=broken)
    capture.capture_exception(raised(ValueError()))
    capture.capture_exception(raised(ValueError()))
    assert capture.flush(10)
    assert len(bucket.keys()) == 2


def test_without_a_bucket_exceptions_are_logged_and_not_stored(caplog: pytest.LogCaptureFixture) -> None:
    capture.configure()
    with caplog.at_level(logging.ERROR, "dagy.capture"):
        request_id = capture.capture_exception(raised(ValueError("password=hunter2")))
        assert capture.flush(5)
    assert "DAGY_TRACES_BUCKET" in caplog.text
    assert "ValueError: password=[Filtered]" in caplog.text
    assert str(request_id) in caplog.text
    assert "hunter2" not in caplog.text


def test_a_path_too_long_for_the_server_is_cut_in_the_metadata_only(stored_in: Callable[..., Bucket]) -> None:
    bucket = stored_in()
    path = "/" + "é" * 1500
    capture.capture_exception(raised(ValueError()), http_path=path)
    assert capture.flush(10)
    assert bucket.only()["http_path"] == path
    [key] = bucket.keys()
    stored = capture.decode_metadata(bucket.client.head_object(Bucket=bucket.name, Key=key)["Metadata"])
    assert path.startswith(stored["http-path"])
    assert len(stored["http-path"]) > 50


def test_an_organization_that_may_not_stand_in_a_key_is_noted(stored_in: Callable[..., Bucket]) -> None:
    bucket = stored_in()
    capture.capture_exception(raised(ValueError()), org_id="../org one")
    assert capture.flush(10)
    assert bucket.keys()[0].startswith("exceptions/_none/")
    trace = bucket.only()
    assert trace["org_id"] is None
    assert trace["event"]["org_id_refused"] == "../org one"


def test_a_request_id_that_may_not_stand_in_a_key_is_replaced_and_noted(stored_in: Callable[..., Bucket]) -> None:
    bucket = stored_in()
    answer = capture.capture_exception(raised(ValueError()), request_id="a/../b\n")
    assert answer is not None
    assert capture.flush(10)
    trace = bucket.only()
    assert trace["request_id"] == answer != "a/../b\n"
    assert trace["event"]["request_id_refused"] == "a/../b\n"


def test_the_same_exception_of_one_request_is_stored_once(stored_in: Callable[..., Bucket]) -> None:
    bucket = stored_in()
    error = raised(ValueError())
    assert capture.capture_exception(error, request_id="r1") == capture.capture_exception(error, request_id="r1")
    capture.capture_exception(error, request_id="r2")
    assert capture.flush(10)
    assert sorted(trace["request_id"] for trace in bucket.traces()) == ["r1", "r2"]


def test_nothing_to_capture_and_capture_switched_off_answer_none() -> None:
    capture.configure(bucket="nobody")
    assert capture.capture_exception() is None
    capture.configure(bucket="nobody", enabled=False)
    assert capture.capture_exception(ValueError()) is None
    assert capture.stats().queued == 0


# --- the traceback ---


def chained() -> None:
    try:
        {}["x"]
    except KeyError as error:
        raise ValueError("bad") from error


def in_handler() -> None:
    try:
        {}["x"]
    except KeyError:
        1 / 0  # noqa: B018


def suppressed() -> None:
    try:
        {}["x"]
    except KeyError:
        raise ValueError("quiet") from None


def broken_source() -> None:
    compile("x = = 1\n", "/srv/app/flow.py", "exec")


def noted() -> None:
    error = ValueError("x")
    error.add_note("seen in org_1\nand org_2")
    raise error


def grouped() -> None:
    errors: list[Exception] = []
    for _ in range(20):
        try:
            chained()
        except ValueError as error:
            errors.append(error)
    raise ExceptionGroup("many", [*errors, ExceptionGroup("inner", [KeyError("k"), ValueError()])])


def recursive() -> None:
    recursive()


def mutual(other: bool = True) -> None:
    mutual(not other) if other else mutual(True)


def circular() -> None:
    first, second = ValueError(1), KeyError(2)
    first.__context__, second.__context__ = second, first
    raise first


class UnprintableError(Exception):
    def __str__(self) -> str:
        raise SystemExit("never")


def unprintable() -> None:
    raise UnprintableError


def without_message() -> None:
    raise ValueError


@pytest.mark.parametrize(
    "failing",
    [chained, in_handler, suppressed, broken_source, noted, grouped, recursive, mutual, circular, without_message],
    ids=lambda function: function.__name__,
)
def test_a_traceback_reads_word_for_word_as_python_prints_it(failing: Callable[[], None]) -> None:
    try:
        failing()
    except Exception as error:
        printed = "".join(traceback.format_exception(error)).rstrip("\n")
        assert render_traceback(snapshot_exception(error), lambda text: text) == printed


def test_an_exception_whose_str_fails_is_stored(stored_in: Callable[..., Bucket]) -> None:
    bucket = stored_in()
    try:
        unprintable()
    except UnprintableError:
        capture.capture_exception()
    assert capture.flush(10)
    trace = bucket.only()
    assert trace["exception_message"] == "<exception str() failed>"
    assert trace["traceback"].endswith("UnprintableError: <exception str() failed>")


def test_a_recursion_error_is_stored_where_it_is_caught_deep_down(stored_in: Callable[..., Bucket]) -> None:
    bucket = stored_in()

    def dive(depth: int) -> None:
        try:
            dive(depth + 1)
        except RecursionError:
            if capture.capture_exception(request_id="deep") != "deep":
                raise
            raise

    with pytest.raises(RecursionError):
        dive(0)
    assert capture.flush(10)
    # Where there is no room for a mark on the exception, the frames above may store it again.
    assert {trace["exception_type"] for trace in bucket.traces()} == {"RecursionError"}


def test_a_million_frames_are_cut_in_the_middle() -> None:
    error = raised(ValueError("deep"))
    snapshot = snapshot_exception(error)
    snapshot.frames = snapshot.frames * 2000
    snapshot.frames_left_out = 998_000
    assert "998000 frames left out" in render_traceback(snapshot, lambda text: text)


def test_locals_are_never_captured() -> None:
    def failing() -> None:
        local_of_the_frame = "value-" + "of-the-local"
        raise ValueError(len(local_of_the_frame))

    try:
        failing()
    except ValueError as error:
        assert "value-of-the-local" not in built(error).data.decode()


def test_a_snapshot_keeps_nothing_of_the_frames_alive() -> None:
    import gc
    import weakref

    class Big:
        pass

    def failing() -> None:
        big = Big()
        seen.append(weakref.ref(big))
        raise ValueError

    seen: list[weakref.ref[Big]] = []
    try:
        failing()
    except ValueError as error:
        snapshot = snapshot_exception(error)
    gc.collect()
    assert seen[0]() is None
    assert snapshot.kind is ValueError


# --- weird input ---


class Weird:
    def __repr__(self) -> str:
        raise AssertionError("nobody may call repr() of an unknown object")

    __str__ = __repr__


class Explosive(dict[str, Any]):
    def items(self) -> Any:
        raise OSError("no")


def test_whatever_the_event_holds_is_stored_as_json() -> None:
    cycle: dict[str, Any] = {}
    cycle["self"] = cycle
    event = {
        "weird": Weird(),
        "explosive": Explosive(a=1),
        "cycle": cycle,
        "surrogate": "a\ud800b",
        "nul": "a\0b",
        "nan": math.nan,
        "infinity": [math.inf, -math.inf],
        "huge": 10**6000,
        "bytes": b"\xff\x00",
        "when": datetime(2026, 1, 1, tzinfo=UTC),
        ("tuple", 1): {1, 2},
        7: "seven",
        b"raw": None,
        "surrogate-\udfff": 1,
    }
    trace = parsed(built(raised(ValueError("x")), event=freeze(event)))
    got = trace["event"]
    assert "Weird" in got["weird"]
    assert "unreadable" in got["explosive"]
    assert got["surrogate"] == "a\ufffdb"
    assert got["nul"] == "a\0b"
    assert got["nan"] == "nan"
    assert got["7"] == "seven"
    assert got["raw"] is None
    assert got["when"].startswith("2026-01-01")


def test_messages_of_every_kind_survive(stored_in: Callable[..., Bucket]) -> None:
    bucket = stored_in()
    for text in ("a\0b", "\ud800", "\u202e‮", "</script>", "\x1b[31m", "line\r\nline", "😀" * 10):
        capture.capture_exception(raised(ValueError(text)))
    assert capture.flush(20)
    messages = {trace["exception_message"] for trace in bucket.traces()}
    assert messages == {"a\0b", "\ufffd", "\u202e‮", "</script>", "\x1b[31m", "line\r\nline", "😀" * 10}


def test_names_of_every_kind_survive() -> None:
    odd = type("Odd <b>\n\u202e name", (Exception,), {"__module__": "a\nb"})
    trace = parsed(built(raised(odd("x"))))
    assert trace["exception_type"] == "Odd <b>\n\u202e name"
    assert trace["traceback"].endswith(": x")


def test_huge_messages_tracebacks_and_bodies_are_cut_and_it_says_so() -> None:
    error = ValueError("m" * 3_000_000)
    for _ in range(40):
        error.add_note("n" * 60_000)
    body = RawBody(b"b" * 70_000, "text/plain", 5_000_000)
    trace = parsed(built(raised(error), event=freeze({"body": body, "text": "t" * 100_000})))
    assert len(trace["exception_message"]) == 64 * 1024
    assert len(trace["traceback"].encode()) <= 1024 * 1024
    assert "bytes left out" in trace["traceback"]
    assert len(trace["event"]["body"]) == 64 * 1024
    assert trace["event"]["text"].endswith("more characters]")
    assert trace["truncated"]["exception_message"] == 3_000_000
    assert trace["truncated"]["traceback"] > 1024 * 1024
    assert trace["truncated"]["event.body"] == 5_000_000


def test_an_event_of_any_size_costs_a_bounded_copy() -> None:
    event = freeze({"rows": [{"n": n, "text": "x" * 5000} for n in range(100_000)]})
    assert len(json.dumps(event)) < 1_000_000


@pytest.mark.parametrize(
    ("body", "stored"),
    [
        (RawBody(b'{"a": [1, {"b": null}]}', "application/json"), {"a": [1, {"b": None}]}),
        (RawBody(b'{"a": ', "application/json"), '{"a": '),
        (RawBody(b"[" * 60_000, "application/json"), "[" * 60_000),
        (RawBody(b"a=1&b=2&a=3", "application/x-www-form-urlencoded; charset=utf-8"), {"a": ["1", "3"], "b": "2"}),
        (RawBody("grüße".encode(), "text/plain"), "grüße"),
        (RawBody("grüße".encode()[:3], "text/plain"), "gr"),
        (RawBody(b"\x89PNG\x00\xff\xfe\xfa", "image/png"), "<8 bytes of image/png>"),
        (
            RawBody(
                b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n'
                b'--x\r\nContent-Disposition: form-data; name="f"; filename="f.bin"\r\n\r\n\x00\xff\r\n--x--\r\n',
                "multipart/form-data; boundary=x",
            ),
            {"a": "1", "f": "<file 'f.bin', text/plain, 2 bytes>"},
        ),
    ],
)
def test_bodies_are_shown_as_what_they_are(body: RawBody, stored: Any) -> None:
    assert parsed(built(raised(ValueError()), event={"body": body}))["event"]["body"] == stored

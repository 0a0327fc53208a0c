from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import Any
from wsgiref.util import FileWrapper, setup_testing_defaults

import pytest
from capture_support import Bucket

from dagy import capture
from dagy.capture.wsgi import CaptureMiddleware


def call(app: Any, **environ: Any) -> list[bytes]:
    setup_testing_defaults(environ)
    response = app(environ, lambda *_: None)
    try:
        return list(response)
    finally:
        if hasattr(response, "close"):
            response.close()


def reading(environ: dict[str, Any], _: Any) -> list[bytes]:
    environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
    raise ValueError("after reading")


def test_an_exception_becomes_a_trace_and_still_reaches_the_server(stored_in: Callable[..., Bucket]) -> None:
    bucket = stored_in()
    body = b'{"flow": "etl", "password": "hunter2"}'
    with pytest.raises(ValueError, match="after reading"):
        call(
            CaptureMiddleware(reading, context=lambda environ: {"org_id": environ["myapp.org"], "run_id": "run_7"}),
            REQUEST_METHOD="POST",
            SCRIPT_NAME="/api",
            PATH_INFO="/b\u00c3\u00bcro",
            QUERY_STRING="limit=5&token=hunter2",
            CONTENT_TYPE="application/json",
            CONTENT_LENGTH=str(len(body)),
            HTTP_X_REQUEST_ID="from-the-client",
            HTTP_COOKIE="sid=hunter2",
            **{"wsgi.input": io.BytesIO(body), "myapp.org": "org_1"},
        )
    assert capture.flush(10)
    trace = bucket.only()
    assert (trace["http_method"], trace["http_path"]) == ("POST", "/api/büro")
    assert (trace["org_id"], trace["request_id"]) == ("org_1", "from-the-client")
    assert trace["event"]["query"] == {"limit": "5", "token": "[Filtered]"}
    assert trace["event"]["body"] == {"flow": "etl", "password": "[Filtered]"}
    assert trace["event"]["headers"]["cookie"] == "[Filtered]"
    assert trace["event"]["run_id"] == "run_7"
    assert b"hunter2" not in bucket.raw()[0]


def test_a_body_that_the_application_did_not_read_is_not_waited_for(stored_in: Callable[..., Bucket]) -> None:
    bucket = stored_in()

    class Slow(io.RawIOBase):
        def read(self, *_: int) -> bytes:
            raise AssertionError("nobody may read here")

    def failing(_: Any, __: Any) -> list[bytes]:
        raise ValueError

    with pytest.raises(ValueError):
        call(CaptureMiddleware(failing), CONTENT_LENGTH="10", **{"wsgi.input": Slow()})
    assert capture.flush(10)
    assert "body" not in bucket.only()["event"]


def test_the_application_reads_the_whole_body_in_every_way(stored_in: Callable[..., Bucket]) -> None:
    stored_in()
    body = b"line\n" * 40_000
    read: list[bytes] = []

    def app(environ: dict[str, Any], _: Any) -> list[bytes]:
        stream = environ["wsgi.input"]
        read.extend([stream.read(7), stream.readline(), b"".join(stream.readlines(100)), b"".join(stream)])
        return [b"ok"]

    assert call(CaptureMiddleware(app), CONTENT_LENGTH=str(len(body)), **{"wsgi.input": io.BytesIO(body)}) == [b"ok"]
    assert b"".join(read) == body


def test_an_exception_while_the_response_is_sent_becomes_a_trace(stored_in: Callable[..., Bucket]) -> None:
    bucket = stored_in()
    closed: list[bool] = []

    def app(_: Any, __: Any) -> Iterator[bytes]:
        try:
            yield b"first"
            raise KeyError("half-way")
        finally:
            closed.append(True)

    with pytest.raises(KeyError):
        call(CaptureMiddleware(app))
    assert closed == [True]
    assert capture.flush(10)
    assert bucket.only()["exception_type"] == "KeyError"


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_what_ends_a_process_is_no_trace(stored_in: Callable[..., Bucket], error: type[BaseException]) -> None:
    bucket = stored_in()

    def app(_: Any, __: Any) -> list[bytes]:
        raise error

    with pytest.raises(error):
        call(CaptureMiddleware(app))
    assert capture.flush(10)
    assert bucket.keys() == []


def test_files_and_lists_reach_the_server_unwrapped() -> None:
    file = FileWrapper(io.BytesIO(b"x"))
    environ = {"wsgi.file_wrapper": FileWrapper}
    setup_testing_defaults(environ)
    assert CaptureMiddleware(lambda *_: file)(dict(environ), lambda *_: None) is file
    chunks = [b"x"]
    assert CaptureMiddleware(lambda *_: chunks)(dict(environ), lambda *_: None) is chunks


def test_a_context_hook_that_fails_hides_nothing(stored_in: Callable[..., Bucket]) -> None:
    bucket = stored_in()

    def broken(_: Any) -> dict[str, Any]:
        raise RuntimeError("hook")

    def app(_: Any, __: Any) -> list[bytes]:
        raise ValueError("the real one")

    with pytest.raises(ValueError, match="the real one"):
        call(CaptureMiddleware(app, context=broken))
    assert capture.flush(10)
    assert bucket.only()["exception_message"] == "the real one"


def test_capture_exception_inside_a_request_knows_the_request(stored_in: Callable[..., Bucket]) -> None:
    bucket = stored_in()

    def app(_: Any, __: Any) -> list[bytes]:
        try:
            1 / 0  # noqa: B018
        except ZeroDivisionError:
            capture.capture_exception(task_id="task_1")
            raise

    middleware = CaptureMiddleware(CaptureMiddleware(app), context=lambda _: {"org_id": "org_2"})
    with pytest.raises(ZeroDivisionError):
        call(middleware, PATH_INFO="/x", HTTP_X_REQUEST_ID="r-1")
    assert capture.flush(10)
    trace = bucket.only()
    assert (trace["http_path"], trace["request_id"], trace["event"]["task_id"]) == ("/x", "r-1", "task_1")

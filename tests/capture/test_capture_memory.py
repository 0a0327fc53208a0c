"""A storm of large requests must not fill the memory while its traces wait for S3."""

from __future__ import annotations

import asyncio
import base64
import io
import threading
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest

from dagy import capture
from dagy.capture.asgi import CaptureMiddleware as AsgiMiddleware
from dagy.capture.aws_lambda import _request
from dagy.capture.bodies import BODY_LIMIT, RawBody, RawQuery
from dagy.capture.wsgi import CaptureMiddleware as WsgiMiddleware

MEGABYTE = 1024 * 1024


class Waiting:
    """A client that keeps its caller until it is let go, as a slow S3 does."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.stored: list[bytes] = []

    def put_object(self, **options: Any) -> dict[str, Any]:
        self.go.wait(30)
        self.stored.append(options["Body"])
        return {}


@pytest.fixture
def slow() -> Any:
    client = Waiting()
    capture.configure(bucket="b", client_factory=lambda: client, threads=1)
    yield client
    client.go.set()
    capture.flush(20)


def through_wsgi() -> None:
    def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        environ["wsgi.input"].read()
        raise ValueError("w")

    environ = {
        "REQUEST_METHOD": "POST", "PATH_INFO": "/", "HTTP_TRANSFER_ENCODING": "chunked",
        "CONTENT_TYPE": "text/plain", "wsgi.input": io.BytesIO(b"b" * MEGABYTE),
    }  # fmt: skip
    WsgiMiddleware(application)(environ, lambda *_: None)


def through_asgi() -> None:
    async def application(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        raise ValueError("a")

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"b" * MEGABYTE, "more_body": False}

    async def send(message: Any) -> None: ...

    scope = {"type": "http", "method": "POST", "path": "/", "headers": [(b"content-type", b"text/plain")]}
    asyncio.run(AsgiMiddleware(application)(scope, receive, send))


def by_hand() -> None:
    raise_with(RawBody(b"b" * MEGABYTE, "text/plain"))


def raise_with(body: RawBody) -> None:
    error = ValueError("h")
    capture.capture_exception(error, event={"body": body})
    raise error


@pytest.mark.parametrize("fail", [through_wsgi, through_asgi, by_hand])
def test_bodies_that_wait_take_little_memory_and_their_true_length_is_said(
    slow: Waiting, fail: Callable[[], None]
) -> None:
    tracemalloc.start()
    try:
        for _ in range(60):
            with pytest.raises(ValueError):
                fail()
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 60 * 1.5 * BODY_LIMIT
    slow.go.set()
    assert capture.flush(20)
    assert len(slow.stored) == 60
    assert all(b'"event.body":1048576' in data for data in slow.stored)


@pytest.mark.parametrize("encoded", [False, True])
def test_the_body_of_a_lambda_event_is_cut_when_it_is_captured(encoded: bool) -> None:
    text = base64.b64encode(b"b" * MEGABYTE).decode() if encoded else "b" * MEGABYTE
    event = {"httpMethod": "POST", "path": "/", "headers": {}, "body": text, "isBase64Encoded": encoded}
    taken = _request(event, None).event
    assert taken is not None
    body = taken()["body"]
    assert (len(body.data), body.length, body.cut) == (BODY_LIMIT + 1, MEGABYTE, True)


def test_the_messages_of_a_queue_event_share_one_limit_and_say_what_was_cut() -> None:
    records = [{"eventSource": "aws:sqs", "body": "ü" * 100_000} for _ in range(20)]
    taken = _request({"Records": records}, None).event
    assert taken is not None
    kept = taken()["records"]
    assert sum(len(record["body"].data) for record in kept) <= 256 * 1024
    assert {record["body_bytes"] for record in kept} == {200_000}


def test_a_query_string_is_cut_when_it_is_captured() -> None:
    query = RawQuery("a=" + "b" * MEGABYTE)
    assert len(query.text) == BODY_LIMIT
    assert query.resolve() == {"a": "b" * (BODY_LIMIT - 2)}

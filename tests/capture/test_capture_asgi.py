from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from capture_support import Bucket

from dagy import capture
from dagy.capture.asgi import CaptureMiddleware


async def serve(app: Any, scope: dict[str, Any], messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    sent: list[dict[str, Any]] = []
    inbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    for message in messages:
        inbox.put_nowait(message)

    async def send(message: dict[str, Any]) -> None:
        await asyncio.sleep(0)
        sent.append(message)

    await app(scope, inbox.get, send)
    return sent


def http(**extra: Any) -> dict[str, Any]:
    return {"type": "http", "method": "POST", "path": "/büro", "query_string": b"limit=5", "headers": [], **extra}


async def failing_after_body(scope: Any, receive: Any, send: Any) -> None:
    body = b""
    while True:
        message = await receive()
        body += message["body"]
        if not message.get("more_body"):
            break
    raise ValueError(f"{len(body)} bytes")


def test_an_exception_becomes_a_trace_and_the_application_gets_its_whole_body(
    stored_in: Callable[..., Bucket],
) -> None:
    bucket = stored_in()
    scope = http(
        headers=[(b"x-request-id", b"r-1"), (b"authorization", b"Bearer hunter2"), (b"content-type", b"text/plain")],
        client=("203.0.113.9", 1),
    )
    messages = [{"type": "http.request", "body": b"x" * 50_000, "more_body": True} for _ in range(3)]
    messages.append({"type": "http.request", "body": b"end"})
    with pytest.raises(ValueError, match="150003 bytes"):
        app = CaptureMiddleware(failing_after_body, context=lambda _: {"org_id": "org_1"})
        asyncio.run(serve(app, scope, messages))
    assert capture.flush(10)
    trace = bucket.only()
    assert (trace["http_method"], trace["http_path"]) == ("POST", "/büro")
    assert (trace["request_id"], trace["org_id"]) == ("r-1", "org_1")
    assert trace["event"]["headers"]["authorization"] == "[Filtered]"
    assert trace["event"]["body"] == "x" * 65_536
    assert trace["event"]["query"] == {"limit": "5"}
    assert trace["event"]["remote_addr"] == "203.0.113.9"


def test_websockets_are_captured(stored_in: Callable[..., Bucket]) -> None:
    bucket = stored_in()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        raise KeyError("socket")

    with pytest.raises(KeyError):
        asyncio.run(serve(CaptureMiddleware(app), http(type="websocket"), [{"type": "websocket.connect"}]))
    assert capture.flush(10)
    assert bucket.only()["http_method"] == "WEBSOCKET"


def test_a_start_that_fails_is_captured_and_an_application_without_lifespan_is_not(
    stored_in: Callable[..., Bucket],
) -> None:
    bucket = stored_in()

    async def without(scope: Any, receive: Any, send: Any) -> None:
        raise NotImplementedError(scope["type"])

    async def broken(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        raise RuntimeError("no database")

    for app in (without, broken):
        with pytest.raises(RuntimeError):
            asyncio.run(serve(CaptureMiddleware(app), {"type": "lifespan"}, [{"type": "lifespan.startup"}]))
    assert capture.flush(10)
    assert bucket.only()["exception_message"] == "no database"


def test_a_cancelled_request_is_no_trace(stored_in: Callable[..., Bucket]) -> None:
    bucket = stored_in()

    async def main() -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await asyncio.sleep(30)

        task = asyncio.create_task(serve(CaptureMiddleware(app), http(), []))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert capture.flush(10)
    assert bucket.keys() == []


def test_concurrent_requests_do_not_mix(stored_in: Callable[..., Bucket]) -> None:
    bucket = stored_in()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(0.01)
        try:
            raise ValueError(scope["path"])
        except ValueError:
            capture.capture_exception()

    async def main() -> None:
        wrapped = CaptureMiddleware(app, context=lambda scope: {"org_id": scope["path"].strip("/")})
        await asyncio.gather(*(serve(wrapped, http(path=f"/org_{n}"), []) for n in range(10)))

    asyncio.run(main())
    assert capture.flush(20)
    for trace in bucket.traces():
        assert trace["http_path"] == trace["exception_message"] == f"/{trace['org_id']}"
    assert len(bucket.keys()) == 10


def test_other_scopes_pass() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": scope["type"]})

    assert asyncio.run(serve(CaptureMiddleware(app), {"type": "other"}, [])) == [{"type": "other"}]

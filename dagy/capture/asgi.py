"""ASGI middleware: exceptions that leave an application become traces. For http, websocket and lifespan.

    app = CaptureMiddleware(app, context=lambda scope: {"org_id": scope["state"].get("org_id")})

The body is what the application itself has received, up to a limit. A cancelled request is not an exception.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from dagy.capture.api import capture_in_request
from dagy.capture.bodies import BODY_LIMIT, RawBody, RawHeaders, RawQuery
from dagy.capture.context import RequestContext, current, request_id_for

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


class CaptureMiddleware:
    """`context` is asked, with the scope, for any of `org_id`, `request_id`, `http_path`, `run_id`, `task_id`."""

    def __init__(
        self,
        app: Application,
        *,
        context: Callable[[Scope], Mapping[str, Any] | None] | None = None,
    ) -> None:
        self.app = app
        self.context = context

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket", "lifespan"):
            await self.app(scope, receive, send)
            return
        recorder = _Recorder(receive)
        context = self._context(scope, recorder)
        token = current.set(context)
        try:
            await self.app(scope, recorder.receive, send)
        except Exception as error:
            # An application that knows no lifespan says so by failing at once: servers expect that.
            if scope["type"] != "lifespan" or recorder.used:
                capture_in_request(error, context)
            raise
        finally:
            current.reset(token)

    def _context(self, scope: Scope, recorder: _Recorder) -> RequestContext:
        hook = self.context
        kind = scope["type"]
        return RequestContext(
            request_id=request_id_for(_header(scope, b"x-request-id")),
            http_method=scope.get("method") if kind == "http" else "WEBSOCKET" if kind == "websocket" else None,
            http_path=scope.get("path"),
            event=lambda: _event(scope, recorder),
            hook=(lambda: hook(scope)) if hook else None,
        )


class _Recorder:
    """`receive` with a memory of the body's first bytes."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._chunks: list[bytes] = []
        self._room = BODY_LIMIT + 1
        self.length = 0
        self.used = False

    async def receive(self) -> Message:
        self.used = True
        message = await self._receive()
        if message["type"] == "http.request":
            data = message.get("body", b"")
            self.length += len(data)
            if data and self._room > 0:
                self._chunks.append(bytes(data[: self._room]))
                self._room -= len(data)
        return message

    def recorded(self) -> bytes:
        return b"".join(self._chunks)


def _event(scope: Scope, recorder: _Recorder) -> dict[str, Any]:
    if scope["type"] == "lifespan":
        return {"type": "lifespan"}
    event: dict[str, Any] = {"headers": RawHeaders(list(scope.get("headers", ())))}
    query = scope.get("query_string", b"")
    if query:
        event["query"] = RawQuery(query.decode("latin-1") if isinstance(query, bytes) else str(query))
    data = recorder.recorded()
    if data:
        length = _header(scope, b"content-length") or ""
        content_type = _header(scope, b"content-type") or ""
        event["body"] = RawBody(data, content_type, int(length) if length.isdigit() else recorder.length)
    if scope.get("client"):
        event["remote_addr"] = str(scope["client"][0])
    return event


def _header(scope: Scope, wanted: bytes) -> str | None:
    for name, value in scope.get("headers", ()):
        if name.lower() == wanted:
            return str(value, "latin-1")
    return None

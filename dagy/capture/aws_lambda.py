"""AWS Lambda: exceptions that leave a handler become traces, and so does the time-out that would kill it in silence.

    @capture_handler
    def handler(event, context): …

Lambda freezes the process when the handler returns, so what is queued is flushed before. Shortly before the deadline
(`timeout_margin_ms`) a thread stores where all threads stand: after the deadline nothing can.
"""

from __future__ import annotations

import base64
import functools
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, overload

from dagy.capture import api
from dagy.capture.bodies import BODY_LIMIT, RawBody, RawQuery
from dagy.capture.context import RequestContext, current
from dagy.capture.keys import is_request_id, new_request_id
from dagy.capture.snapshot import EVENT_CHARACTERS_LIMIT, Frames, frames_of_thread

Handler = TypeVar("Handler", bound=Callable[[Any, Any], Any])
_FLUSH_SECONDS = 5.0
_RECORDS = 20
_PREPARE_SECONDS = 3.0


class LambdaTimeoutError(TimeoutError):
    """The type of the trace that is written when a function is about to be killed. It is never raised."""


@overload
def capture_handler(handler: Handler, *, timeout_margin_ms: int = 500) -> Handler: ...
@overload
def capture_handler(handler: None = None, *, timeout_margin_ms: int = 500) -> Callable[[Handler], Handler]: ...
def capture_handler(handler: Any = None, *, timeout_margin_ms: int = 500) -> Any:
    """Decorate a Lambda handler, with or without arguments. The exception still leaves the handler."""
    if handler is None:
        return functools.partial(capture_handler, timeout_margin_ms=timeout_margin_ms)

    @functools.wraps(handler)
    def wrapper(event: Any, context: Any) -> Any:
        request = _request(event, context)
        guard = _start_guard(request, context, timeout_margin_ms / 1000)
        token = current.set(request)
        try:
            return handler(event, context)
        except Exception as error:
            api.capture_in_request(error, request)
            raise
        finally:
            current.reset(token)
            if guard is not None:
                guard.cancel()
            _flush(context)

    return wrapper


class _Guard(threading.Thread):
    """Waits for the moment shortly before the deadline."""

    def __init__(self, request: RequestContext, seconds: float, margin: float) -> None:
        super().__init__(name="dagy-capture-deadline", daemon=True)
        self._request = request
        self._seconds = seconds
        self._margin = margin
        self._handler_thread = threading.get_ident()
        self._cancelled = threading.Event()

    def run(self) -> None:
        # Importing boto3 takes longer than the margin; short invocations never come here.
        if self._cancelled.wait(max(0.0, self._seconds - _PREPARE_SECONDS)):
            return
        started = time.monotonic()
        api.prepare()
        left = min(self._seconds, _PREPARE_SECONDS) - (time.monotonic() - started)
        if not self._cancelled.wait(max(0.0, left)):
            _store_stacks(self._request, self._handler_thread, self._margin)

    def cancel(self) -> None:
        self._cancelled.set()


def _start_guard(request: RequestContext, context: Any, margin: float) -> _Guard | None:
    left = _seconds_left(context)
    if left is None or left <= margin or not api.is_enabled():
        return None
    guard = _Guard(request, left - margin, margin)
    guard.start()
    return guard


def _store_stacks(request: RequestContext, handler_thread: int, margin: float) -> None:
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    stacks: dict[str, Frames] = {}
    handler_frames: Frames = []
    for ident, frame in sys._current_frames().items():
        frames = frames_of_thread(frame)
        if ident == handler_thread:
            handler_frames = frames
        if ident != threading.get_ident():
            stacks[f"{names.get(ident, 'thread')} ({ident})"] = frames
    error = LambdaTimeoutError(f"still running {round(margin * 1000)} ms before the function's deadline")
    api.capture_stacks(error, handler_frames, stacks, request)
    api.flush(margin * 0.9)


def _flush(context: Any) -> None:
    left = _seconds_left(context)
    api.flush(_FLUSH_SECONDS if left is None else max(0.0, min(_FLUSH_SECONDS, left - 0.1)))


def _seconds_left(context: Any) -> float | None:
    remaining = getattr(context, "get_remaining_time_in_millis", None)
    try:
        return float(remaining()) / 1000 if remaining else None
    except (TypeError, ValueError):
        return None


def _request(event: Any, context: Any) -> RequestContext:
    """Method, path and id of what called the function: API Gateway (both versions), a load balancer, a queue."""
    aws_id = getattr(context, "aws_request_id", None)
    if not isinstance(event, Mapping):
        return RequestContext(_request_id(aws_id), event=lambda: {"event": event})
    records = event.get("Records")
    if isinstance(records, list) and records and isinstance(records[0], Mapping):
        return _queue_request(records, aws_id)
    about = _mapping(event.get("requestContext"))
    http = _mapping(about.get("http"))
    method = http.get("method") or event.get("httpMethod")
    if not method:
        return RequestContext(_request_id(aws_id), event=lambda: {"event": event})
    headers = _mapping(event.get("headers")) or _mapping(event.get("multiValueHeaders"))
    given = next(
        (value for name, value in headers.items() if str(name).lower() == "x-request-id"),
        None,
    )
    return RequestContext(
        request_id=_request_id(
            given[0] if isinstance(given, list) and given else given,
            about.get("requestId"),
            aws_id,
        ),
        http_method=str(method),
        http_path=str(event.get("rawPath") or http.get("path") or event.get("path") or ""),
        event=lambda: _http_event(event, headers),
    )


def _queue_request(records: list[Any], aws_id: Any) -> RequestContext:
    source = str(records[0].get("eventSource") or records[0].get("EventSource") or "event")
    arn = str(records[0].get("eventSourceARN") or records[0].get("EventSubscriptionArn") or "")
    message_id = records[0].get("messageId") if len(records) == 1 else None
    limit = min(BODY_LIMIT, EVENT_CHARACTERS_LIMIT // min(len(records), _RECORDS))
    return RequestContext(
        request_id=_request_id(message_id, aws_id),
        http_method=source.rpartition(":")[2].upper(),
        http_path=f"/{arn.rpartition(':')[2]}",
        event=lambda: {
            "records": [_record(record, limit=limit) for record in records[:_RECORDS]],
            "record_count": len(records),
        },
    )


def _record(record: Any, *, limit: int) -> Any:
    """Of the message, `limit` bytes; `body_bytes` says how many there were where these are more."""
    body = record.get("body") if isinstance(record, Mapping) else None
    if not isinstance(body, str):
        return record
    raw = RawBody.beginning(body.encode("utf-8", "replace"), limit=limit)
    return {**record, "body": raw, **({"body_bytes": raw.length} if raw.cut else {})}


def _http_event(event: Mapping[str, Any], headers: Mapping[str, Any]) -> dict[str, Any]:
    lower = {str(name).lower(): value for name, value in headers.items()}
    built: dict[str, Any] = {"headers": lower}
    if event.get("cookies"):
        built["cookies"] = event["cookies"]
    if event.get("rawQueryString"):
        built["query"] = RawQuery(str(event["rawQueryString"]))
    elif event.get("multiValueQueryStringParameters") or event.get("queryStringParameters"):
        built["query"] = event.get("queryStringParameters") or event.get("multiValueQueryStringParameters")
    body = event.get("body")
    if isinstance(body, str) and body:
        content_type = lower.get("content-type")
        text = content_type[0] if isinstance(content_type, list) and content_type else content_type
        data = _decoded(body) if event.get("isBase64Encoded") else body.encode("utf-8", "replace")
        built["body"] = RawBody.beginning(data, str(text or ""))
    return built


def _decoded(body: str) -> bytes:
    try:
        return base64.b64decode(body)
    except ValueError:
        return body.encode("utf-8", "replace")


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _request_id(*candidates: Any) -> str:
    return next((candidate for candidate in candidates if is_request_id(candidate)), None) or new_request_id()

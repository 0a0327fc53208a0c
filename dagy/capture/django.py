"""Django middleware: unhandled exceptions become traces. Sync and async; put it first in MIDDLEWARE.

    MIDDLEWARE = ["dagy.capture.django.CaptureMiddleware", …]
    DAGY_CAPTURE_CONTEXT = "myapp.capture.context"   # (request) -> {"org_id": …, "request_id": …, …}

First, because Django asks the first middleware last what to do with an exception: what another one turns into a
response is not captured, nor is what Django itself answers with a 4xx. Frameworks that catch exceptions themselves
(django-ninja) call `capture_request_exception(request, exception)` in their handler.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.conf import settings
from django.core.exceptions import BadRequest, PermissionDenied, SuspiciousOperation
from django.core.signals import got_request_exception
from django.http import Http404, HttpRequest
from django.http.multipartparser import MultiPartParserError
from django.http.response import HttpResponseBase
from django.utils.module_loading import import_string

from dagy.capture.api import capture_in_request
from dagy.capture.bodies import RawBody, RawQuery, environ_headers
from dagy.capture.context import RequestContext, current, request_id_for
from dagy.capture.scrub import FILTERED

_ANSWERED_BY_DJANGO = (
    Http404,
    PermissionDenied,
    SuspiciousOperation,
    BadRequest,
    MultiPartParserError,
)
_ATTRIBUTE = "_dagy_capture"


class CaptureMiddleware:
    """Captures what leaves a view (`process_exception`) and what leaves other middleware (Django's signal)."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self.get_response = get_response
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)
        got_request_exception.connect(_capture_signalled, dispatch_uid="dagy.capture")

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        if self._is_async:
            return self._call_async(request)
        token = current.set(_context(request))
        try:
            response: HttpResponseBase = self.get_response(request)
        finally:
            current.reset(token)
        return response

    async def _call_async(self, request: HttpRequest) -> HttpResponseBase:
        token = current.set(_context(request))
        try:
            response: HttpResponseBase = await self.get_response(request)
        finally:
            current.reset(token)
        return response

    def process_exception(self, request: HttpRequest, exception: Exception) -> None:
        """Capture what a view raised, unless Django answers it with a 4xx by itself."""
        if isinstance(exception, Exception) and not isinstance(exception, _ANSWERED_BY_DJANGO):
            capture_request_exception(request, exception)


def capture_request_exception(request: HttpRequest, exc: BaseException) -> str | None:
    """Store `exc`, met while `request` was served. Answers the trace's request id; never raises, never waits."""
    return capture_in_request(exc, _context(request))


def _capture_signalled(*, request: HttpRequest | None = None, **_: Any) -> None:
    error = sys.exc_info()[1]
    if isinstance(error, Exception) and request is not None:
        capture_request_exception(request, error)


def _context(request: HttpRequest) -> RequestContext:
    known: RequestContext | None = getattr(request, _ATTRIBUTE, None)
    if known is None:
        known = RequestContext(
            request_id=request_id_for(request.META.get("HTTP_X_REQUEST_ID")),
            http_method=request.method,
            http_path=request.path,
            event=lambda: _event(request),
            hook=lambda: _ask_application(request),
        )
        setattr(request, _ATTRIBUTE, known)
    return known


def _ask_application(request: HttpRequest) -> Any:
    path = getattr(settings, "DAGY_CAPTURE_CONTEXT", None)
    return import_string(path)(request) if path else None


def _event(request: HttpRequest) -> dict[str, Any]:
    event: dict[str, Any] = {"headers": environ_headers(request.META)}
    if request.META.get("QUERY_STRING"):
        event["query"] = RawQuery(str(request.META["QUERY_STRING"]))
    body = _body(request)
    if body is not None:
        event["body"] = body
    if request.META.get("REMOTE_ADDR"):
        event["remote_addr"] = request.META["REMOTE_ADDR"]
    return event


def _body(request: HttpRequest) -> Any:
    """What the application has read already: reading now could wait for a slow client. `sensitive_post_parameters`
    is honoured."""
    hidden = getattr(request, "sensitive_post_parameters", None)
    data: bytes | None = getattr(request, "_body", None)
    if data is not None and not hidden:
        return RawBody.beginning(data, request.META.get("CONTENT_TYPE", "")) if data else None
    if not hasattr(request, "_post"):
        return None if data is None else FILTERED
    return _form(request, hidden or ())


def _form(request: HttpRequest, hidden: Any) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for name, values in request.POST.lists():
        secret = hidden == "__ALL__" or name in hidden
        fields[name] = FILTERED if secret else values[0] if len(values) == 1 else values
    for name, file in request.FILES.items():
        fields[name] = f"<file {getattr(file, 'name', None)!r}, {getattr(file, 'size', None)} bytes>"
    return fields

"""What every request goes through: its id, its headers, and an error page where a service says no."""

import re
import time
import uuid
from collections.abc import Callable

import structlog
from django.http import HttpRequest, HttpResponse

from dagy_console.core import problems
from dagy_console.core.http import is_api

GetResponse = Callable[[HttpRequest], HttpResponse]
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
log = structlog.get_logger(__name__)


class RequestIdMiddleware:
    """`X-Request-Id`: the caller's where well-formed, else a new one; in logs, audit entries, traces and the answer."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        given = request.headers.get("X-Request-Id", "")
        request.request_id = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex  # type: ignore[attr-defined]
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request.request_id)  # type: ignore[attr-defined]
        started = time.perf_counter()
        response = self.get_response(request)
        response["X-Request-Id"] = request.request_id  # type: ignore[attr-defined]
        # Without the query: a search may hold what customers wrote.
        log.info(
            "request",
            method=request.method,
            path=request.path,
            status=response.status_code,
            milliseconds=round((time.perf_counter() - started) * 1000, 1),
        )
        return response


class ResponseHeadersMiddleware:
    """Pages and answers hold customers' data: no cache may keep them, and htmx's parts are not the page."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        response.setdefault("Cache-Control", "no-store")
        response.setdefault("Cross-Origin-Resource-Policy", "same-origin")
        if response.get("Content-Type", "").startswith("text/html"):
            response["Vary"] = ", ".join(filter(None, [response.get("Vary", ""), "HX-Request"]))
        return response


class ErrorPagesMiddleware:
    """Turns what a service raises into the page (or problem) that says so."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        refused = problems.length_required(request)
        if refused:
            return refused
        asked = request.method
        request.is_head = asked == "HEAD"  # type: ignore[attr-defined]
        if asked == "HEAD" and is_api(request):
            request.method = "GET"  # the server leaves the body out
        try:
            response = self.get_response(request)
        finally:
            # Logs name the method that was asked for.
            request.method = asked
        return problems.method_not_allowed(request, response) if response.status_code == 405 else response

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        error = problems.as_console_error(request, exception)
        return problems.error_response(request, error) if error else None

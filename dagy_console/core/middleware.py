"""What every request goes through: its id, its headers, and an error page where a service says no."""

import re
import time
import uuid
from collections.abc import Callable

import structlog
from django.core.exceptions import RequestDataTooBig, TooManyFieldsSent
from django.db import OperationalError
from django.http import HttpRequest, HttpResponse
from redis import RedisError

from dagy_console.core.errors import ConsoleError, TooLarge, Unavailable
from dagy_console.core.http import error_response, is_api, problem

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


class MethodNotAllowed(ConsoleError):
    status = 405
    title = "Method not allowed"


class ErrorPagesMiddleware:
    """Turns what a service raises into the page (or problem) that says so."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not is_api(request):
            return self.get_response(request)
        asked = request.method
        if asked == "HEAD":
            request.method = "GET"  # the server leaves the body out
        try:
            response = self.get_response(request)
        finally:
            # Logs name the method that was asked for.
            request.method = asked
        return _method_not_allowed(request, response["Allow"]) if response.status_code == 405 else response

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        error = as_console_error(exception)
        return error_response(request, error) if error else None


def _method_not_allowed(request: HttpRequest, allow: str) -> HttpResponse:
    allowed = set(allow.split(", "))
    allow = ", ".join(sorted(allowed | {"HEAD"} if "GET" in allowed else allowed))
    answer = problem(request, MethodNotAllowed(f"{request.method} is not known here: use {allow}."))
    answer["Allow"] = allow
    return answer


def as_console_error(exception: Exception) -> ConsoleError | None:
    """The exceptions of Django and PostgreSQL that have a plain meaning for the caller."""
    if isinstance(exception, ConsoleError):
        return exception
    if isinstance(exception, RequestDataTooBig | TooManyFieldsSent):
        return TooLarge("The request is larger than 2 MB, or has over 2,000 fields. Nothing was changed.")
    if isinstance(exception, RedisError):
        log.error("redis.unavailable", error=str(exception).strip())
        return Unavailable(
            "Redis, which counts failed sign-ins, did not answer. Nothing was changed; try again shortly."
        )
    if isinstance(exception, OperationalError):
        log.error("database.unavailable", error=str(exception).strip())
        return Unavailable("The database did not answer. Look whether it was done, or try again in a few seconds.")
    return None

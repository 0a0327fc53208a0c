"""Every answer that is an error: RFC 9457 problem details at the API, a page in the console."""

import sys
from collections.abc import Callable
from typing import Any

import structlog
from django.core.exceptions import RequestDataTooBig, TooManyFieldsSent
from django.db import OperationalError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from ninja import NinjaAPI
from ninja.errors import HttpError, ValidationError
from redis import RedisError

from dagy.capture.django import capture_request_exception
from dagy_console.core.errors import (
    ConsoleError,
    FieldError,
    Invalid,
    NotAuthenticated,
    NotFound,
    PermissionDenied,
    TooLarge,
    Unavailable,
)
from dagy_console.core.http import SAFE_METHODS, is_api, redirect_to_sign_in

PROBLEM_TYPE = "about:blank"
PROBLEM_JSON = "application/problem+json"
# Told of every refusal before it is answered; the audit log registers here.
denial_watchers: list[Callable[[HttpRequest, PermissionDenied], None]] = []
log = structlog.get_logger(__name__)


class CsrfFailed(ConsoleError):
    status = 403
    title = "The form has expired"


class MethodNotAllowed(ConsoleError):
    status = 405
    title = "Method not allowed"


class LengthRequired(ConsoleError):
    status = 411
    title = "Length required"


class InternalError(ConsoleError):
    status = 500
    title = "The console failed"

    @classmethod
    def of(cls, request: HttpRequest) -> "InternalError":
        request_id = getattr(request, "request_id", "unknown")
        return cls(f"This broke something on our side, recorded under the request id {request_id}.{_advice(request)}")


def problem(request: HttpRequest, error: ConsoleError) -> JsonResponse:
    """RFC 9457 problem details."""
    body: dict[str, Any] = {
        "type": PROBLEM_TYPE,
        "title": error.title,
        "status": error.status,
        "detail": error.detail,
        "request_id": getattr(request, "request_id", ""),
    }
    if error.errors:
        body["errors"] = [{"field": item.field, "message": item.message} for item in error.errors]
    return JsonResponse(body, status=error.status, content_type=PROBLEM_JSON)


def error_response(request: HttpRequest, error: ConsoleError) -> HttpResponse:
    """The problem (API), the sign-in page (console, not signed in) or the error page; watchers hear of denials."""
    if isinstance(error, PermissionDenied):
        for watch in denial_watchers:
            watch(request, error)
    if is_api(request):
        response: HttpResponse = problem(request, error)
    elif isinstance(error, NotAuthenticated):
        return redirect_to_sign_in(request)
    else:
        context = {"status": error.status, "title": error.title, "detail": error.detail}
        response = render(request, "error.html", context, status=error.status)
    if error.retry_after is not None:
        response["Retry-After"] = str(error.retry_after)
    if error.status == 401:
        response["WWW-Authenticate"] = 'Bearer realm="dagy"'
    return response


def as_console_error(request: HttpRequest, exception: BaseException) -> ConsoleError | None:
    """The exceptions of Django, PostgreSQL and Redis that have a plain meaning for the caller."""
    if isinstance(exception, ConsoleError):
        return exception
    if isinstance(exception, RequestDataTooBig | TooManyFieldsSent):
        return TooLarge("The request is larger than 2 MB, or has over 2,000 fields. Nothing was changed.")
    if isinstance(exception, RedisError):
        log.error("redis.unavailable", error=str(exception).strip())
        return Unavailable(f"Redis, which counts failed sign-ins, did not answer.{_advice(request)}")
    if isinstance(exception, OperationalError):
        log.error("database.unavailable", error=str(exception).strip())
        return Unavailable(f"The database did not answer.{_advice(request)}")
    return None


def _advice(request: HttpRequest) -> str:
    """Nobody knows how far a request came that broke: only of one that changes nothing is it no matter."""
    if request.method in SAFE_METHODS:
        return " Try again in a few seconds."
    return " What you sent may have been done in part: look before you try again."


# --- What Django calls ------------------------------------------------------------------------------------------------


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    if is_api(request):
        return error_response(request, csrf_problem())
    detail = (
        "You signed in or out in another tab since this form was opened. Nothing was changed. "
        "Go back, load the page again and send it once more."
    )
    return error_response(request, CsrfFailed(detail))


def csrf_problem() -> CsrfFailed:
    error = CsrfFailed("A browser session needs the X-CSRFToken header for this. Nothing was changed; reload the page.")
    error.title = "CSRF token missing or wrong"
    return error


def forbidden(request: HttpRequest, exception: Any = None) -> HttpResponse:
    error = ConsoleError("This is not allowed to you. If you need it, ask a super admin.")
    error.status, error.title = 403, "Not allowed"
    return error_response(request, error)


def not_found(request: HttpRequest, exception: Any = None) -> HttpResponse:
    return error_response(request, NotFound("There is nothing at this address."))


def too_many_requests(request: HttpRequest, exception: Any = None) -> HttpResponse:
    error = ConsoleError("You tried this too often. Nothing was changed; try again in a minute.", retry_after=60)
    error.status, error.title = 429, "Too many attempts"
    return error_response(request, error)


def bad_request(request: HttpRequest, exception: Any = None) -> HttpResponse:
    return error_response(request, ConsoleError("The request could not be understood."))


def internal_error(request: HttpRequest) -> HttpResponse:
    """Says the request id, under which the trace can be found, and nothing of the inside.

    What a middleware raised comes here too: a database that is away is a 503, whoever noticed it first.
    """
    raised = sys.exc_info()[1]
    known = as_console_error(request, raised) if raised else None
    return error_response(request, known or InternalError.of(request))


# --- What the middleware calls ---------------------------------------------------------------------------------------


def method_not_allowed(request: HttpRequest, response: HttpResponseBase) -> HttpResponse:
    """In place of a framework's empty 405, which knows the methods."""
    allowed = {method for method in response.get("Allow", "").split(", ") if method}
    allow = ", ".join(sorted(allowed | {"HEAD"} if "GET" in allowed else allowed))
    answer = error_response(request, MethodNotAllowed(f"{request.method} is not known here: use {allow}."))
    answer["Allow"] = allow
    return answer


def length_required(request: HttpRequest) -> HttpResponse | None:
    """WSGI tells no end of a chunked body: read as empty, it would be called wrong for what it is not."""
    if request.META.get("CONTENT_LENGTH") or "chunked" not in request.headers.get("Transfer-Encoding", "").lower():
        return None
    detail = "A chunked body cannot be read here: send it whole, with a Content-Length. Nothing was changed."
    return error_response(request, LengthRequired(detail))


# --- What django-ninja calls -----------------------------------------------------------------------------------------


def answer_errors_of(api: NinjaAPI) -> None:
    """Every error of the API becomes a problem."""
    api.exception_handler(ValidationError)(_on_invalid)
    api.exception_handler(HttpError)(_on_http_error)
    api.exception_handler(Http404)(not_found)
    api.exception_handler(Exception)(_on_exception)


def _on_invalid(request: HttpRequest, error: ValidationError) -> HttpResponse:
    errors = [FieldError(_field(item["loc"]), _message(item)) for item in error.errors]
    return error_response(request, Invalid("; ".join(f"{e.field}: {e.message}" for e in errors), errors=errors))


def _on_http_error(request: HttpRequest, error: HttpError) -> HttpResponse:
    """Ninja's own: a body that its parser refused, for the reason that is the cause."""
    if isinstance(error.__cause__, ConsoleError):
        return error_response(request, error.__cause__)
    answer = ConsoleError(f"{error.message}. Send a JSON object with Content-Type: application/json.")
    answer.status = error.status_code
    return error_response(request, answer)


def _on_exception(request: HttpRequest, error: Exception) -> HttpResponse:
    """What a service refuses is answered; anything else is a trace, and a 500 with its request id."""
    known = as_console_error(request, error)
    if known is None:
        capture_request_exception(request, error)
    return error_response(request, known or InternalError.of(request))


def _field(location: tuple[Any, ...]) -> str:
    """`("body", "body", "keys", 3)` -> `keys.3`: the caller's names, not the framework's."""
    parts = [str(part)[:100] for part in location if part not in {"query", "path", "body", "params"}]
    return ".".join(parts) or "body"


def _message(item: dict[str, Any]) -> str:
    return "unknown field" if item["type"] == "extra_forbidden" else str(item["msg"])

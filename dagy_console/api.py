"""The JSON API: every app's router, and one way to answer errors."""

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from ninja import NinjaAPI
from ninja.errors import HttpError, ValidationError

import dagy_console
from dagy.capture.django import capture_request_exception
from dagy_console.accounts.api import router as accounts
from dagy_console.audit.api import router as audit
from dagy_console.core.api import signed_in
from dagy_console.core.errors import ConsoleError, FieldError, Invalid, NotFound
from dagy_console.core.http import error_response
from dagy_console.core.middleware import as_console_error
from dagy_console.core.views import InternalError
from dagy_console.exceptions.api import router as exceptions

api = NinjaAPI(
    title="Dagy Console",
    version=dagy_console.__version__,
    description="The API beside the console. Errors are RFC 9457 problem details; lists are keyset pages.",
    auth=signed_in,
    docs_url="/docs",
    openapi_url="/openapi.json",
)
for router in (accounts, exceptions, audit):
    api.add_router("", router)


@api.exception_handler(ValidationError)
def on_invalid(request: HttpRequest, error: ValidationError) -> HttpResponse:
    errors = [FieldError(_field(item["loc"]), item["msg"]) for item in error.errors]
    return error_response(request, Invalid("; ".join(f"{e.field}: {e.message}" for e in errors), errors=errors))


@api.exception_handler(HttpError)
def on_http_error(request: HttpRequest, error: HttpError) -> HttpResponse:
    """Ninja's own: a body that is no JSON."""
    answer = ConsoleError(f"{error.message}. Send a JSON object with Content-Type: application/json.")
    answer.status = error.status_code
    return error_response(request, answer)


@api.exception_handler(Http404)
def on_not_found(request: HttpRequest, error: Http404) -> HttpResponse:
    return error_response(request, NotFound("There is nothing at this address."))


@api.exception_handler(Exception)
def on_exception(request: HttpRequest, error: Exception) -> HttpResponse:
    """What a service refuses is answered; anything else is a trace, and a 500 with its request id."""
    known = as_console_error(error)
    if known:
        return error_response(request, known)
    capture_request_exception(request, error)
    return error_response(request, InternalError.of(request))


def _field(location: tuple[Any, ...]) -> str:
    """`("body", "body", "keys", 3)` -> `keys.3`: the caller's names, not the framework's."""
    parts = [str(part) for part in location if part not in {"query", "path", "body", "params"}]
    return ".".join(parts) or "body"

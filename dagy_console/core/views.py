"""Pages and endpoints that belong to no app: health, preferences, errors."""

import sys
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST, require_safe

import dagy_console
from dagy_console.core import health
from dagy_console.core.errors import ConsoleError, NotFound
from dagy_console.core.http import error_response
from dagy_console.core.middleware import as_console_error
from dagy_console.core.times import to_rfc3339

CHOICES = {"theme": ("auto", "light", "dark"), "timezone": ("utc", "local")}
COOKIES = {"theme": "dagy-theme", "timezone": "dagy-time"}
A_YEAR = 365 * 86_400


@require_safe
def health_report(request: HttpRequest) -> JsonResponse:
    """Every component; 503 only where the console cannot work at all."""
    report = health.report()
    body = {
        "status": report.status,
        "version": dagy_console.__version__,
        "components": [
            {"name": part.name, "status": part.status, "message": part.message} for part in report.components
        ],
        "timestamp": to_rfc3339(timezone.now()),
    }
    return JsonResponse(body, status=503 if report.status is health.Status.UNHEALTHY else 200)


@require_safe
def health_live(request: HttpRequest) -> JsonResponse:
    """This process answers."""
    return JsonResponse({"status": "healthy"})


@require_POST
def preferences(request: HttpRequest) -> HttpResponse:
    """Theme and time zone, kept in cookies, so that the first byte of a page is right already."""
    back = request.POST.get("next", "")
    safe = url_has_allowed_host_and_scheme(back, allowed_hosts={request.get_host()}, require_https=request.is_secure())
    response = HttpResponseRedirect(back if safe else "/console/")
    for name, choices in CHOICES.items():
        value = request.POST.get(name)
        if value in choices:
            response.set_cookie(
                COOKIES[name], value, max_age=A_YEAR, httponly=True, samesite="Lax", secure=request.is_secure()
            )
    return response


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    return render(request, "403_csrf.html", status=403)


def not_found(request: HttpRequest, exception: Any = None) -> HttpResponse:
    return error_response(request, NotFound("There is nothing at this address."))


def bad_request(request: HttpRequest, exception: Any = None) -> HttpResponse:
    return error_response(request, ConsoleError("The request could not be understood. Nothing was changed."))


class InternalError(ConsoleError):
    status = 500
    title = "Something broke"

    @classmethod
    def of(cls, request: HttpRequest) -> "InternalError":
        request_id = getattr(request, "request_id", "unknown")
        return cls(f"This was recorded under the request id {request_id}. Try again.")


def internal_error(request: HttpRequest) -> HttpResponse:
    """Says the request id, under which the trace can be found, and nothing of the inside.

    What a middleware raised comes here too: a database that is away is a 503, whoever noticed it first.
    """
    raised = sys.exc_info()[1]
    known = as_console_error(raised) if isinstance(raised, Exception) else None
    return error_response(request, known or InternalError.of(request))

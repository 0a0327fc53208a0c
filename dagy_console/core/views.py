"""Endpoints that belong to no app: health, preferences."""

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

import dagy_console
from dagy_console.core import health, metrics
from dagy_console.core.http import read_only
from dagy_console.core.times import to_rfc3339

CHOICES = {"theme": ("auto", "light", "dark"), "timezone": ("utc", "local")}
COOKIES = {"theme": "dagy-theme", "timezone": "dagy-time"}
A_YEAR = 365 * 86_400


@read_only
def health_report(request: HttpRequest) -> JsonResponse:
    """Every component; 503 only where the console cannot work at all."""
    report = health.report(fresh=True)
    body = {
        "status": report.status,
        "version": dagy_console.__version__,
        "components": [
            {"name": part.name, "status": part.status, "message": part.message} for part in report.components
        ],
        "timestamp": to_rfc3339(timezone.now()),
    }
    return JsonResponse(body, status=503 if report.status is health.Status.UNHEALTHY else 200)


@read_only
def health_live(request: HttpRequest) -> JsonResponse:
    """This process answers."""
    return JsonResponse({"status": "healthy"})


@read_only
def metrics_report(request: HttpRequest) -> HttpResponse:
    """The figures, as text. Raises NotAuthenticated."""
    metrics.require_reader(request)
    told = generate_latest(metrics.registry())
    return HttpResponse(told, content_type=CONTENT_TYPE_PLAIN_0_0_4, headers={"Cache-Control": "no-store"})


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

"""Answering: whole pages or their htmx parts, problem details, redirects, error pages."""

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import render
from django.urls import reverse

from dagy_console.core.actors import Actor
from dagy_console.core.errors import ConsoleError, NotAuthenticated, PermissionDenied
from dagy_console.core.permissions import Permission

PROBLEM_TYPE = "about:blank"
# Told of every refusal before it is answered; the audit log registers here.
denial_watchers: list[Callable[[HttpRequest, PermissionDenied], None]] = []


class ConsoleRequest(HttpRequest):
    """A request of a signed-in person, as the middleware leaves it."""

    actor: Actor
    request_id: str
    htmx: Any


def render_page(
    request: HttpRequest, template: str, context: Mapping[str, Any] | None = None, *, part: str = "", status: int = 200
) -> HttpResponse:
    """The page, or its `part` alone where htmx asks for it. `Back` asks for the whole page again."""
    htmx = getattr(request, "htmx", None)
    name = f"{template}#{part}" if part and htmx and not htmx.history_restore_request else template
    return render(request, name, dict(context or {}), status=status)


def console_context(request: HttpRequest) -> dict[str, Any]:
    """What every template may use besides its own context."""
    actor = getattr(request, "actor", None)
    can = {
        "exceptions": bool(actor and actor.can(Permission.EXCEPTIONS_READ)),
        "audit": bool(actor and actor.can_somewhere(Permission.AUDIT_READ)),
        "system": bool(actor and actor.can(Permission.PLATFORM_READ)),
    }
    return {
        "actor": actor,
        "can": can,
        "theme": _choice(request, "theme", ("auto", "light", "dark")),
        "time_mode": _choice(request, "time", ("utc", "local")),
        "request_id": getattr(request, "request_id", ""),
        "demo": settings.DEMO,
    }


def _choice(request: HttpRequest, cookie: str, choices: tuple[str, ...]) -> str:
    value = request.COOKIES.get(f"dagy-{cookie}", "")
    return value if value in choices else choices[0]


def is_api(request: HttpRequest) -> bool:
    """Whether the caller expects JSON: everything outside the console and the sign-in pages."""
    return not request.path.startswith(("/console", "/accounts", "/static"))


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
    response = JsonResponse(body, status=error.status, content_type="application/problem+json")
    _set_headers(response, error)
    return response


def error_response(request: HttpRequest, error: ConsoleError) -> HttpResponse:
    """The problem (API), the sign-in page (console, not signed in) or the error page; watchers hear of denials."""
    if isinstance(error, PermissionDenied):
        for watch in denial_watchers:
            watch(request, error)
    if is_api(request):
        return problem(request, error)
    if isinstance(error, NotAuthenticated):
        return redirect_to_sign_in(request)
    context = {"status": error.status, "title": error.title, "detail": error.detail}
    response = render(request, "error.html", context, status=error.status)
    _set_headers(response, error)
    return response


def redirect_to_sign_in(request: HttpRequest) -> HttpResponse:
    """To the sign-in page and back. htmx would follow a redirect silently, so it is told to load the page."""
    htmx = getattr(request, "htmx", None)
    target = htmx.current_url_abs_path if htmx else request.get_full_path()
    url = f"{reverse(settings.LOGIN_URL)}?{urlencode({'next': target or '/console/'})}"
    if htmx:
        response = HttpResponse(status=401)
        response["HX-Redirect"] = url
        return response
    return HttpResponseRedirect(url)


def _set_headers(response: HttpResponse, error: ConsoleError) -> None:
    if error.retry_after is not None:
        response["Retry-After"] = str(error.retry_after)
    if error.status == 401:
        response["WWW-Authenticate"] = 'Bearer realm="dagy"'

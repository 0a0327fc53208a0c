"""Answering: whole pages or their htmx parts, links that keep the URL, the way to the sign-in page."""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe

from dagy_console.core import navigation
from dagy_console.core.actors import Actor
from dagy_console.core.errors import ConsoleError

# A parameter of what a page asks for by itself: nobody has done anything then, and an idle session stays idle.
POLL = "poll"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class ConsoleRequest(HttpRequest):
    """A request of a signed-in person, as the middleware leaves it."""

    actor: Actor
    request_id: str
    htmx: Any
    # The API's endpoints answer HEAD as GET; one that hands something out or records it must know.
    is_head: bool


class CrossSite(ConsoleError):
    status = 403
    title = "Asked for by another site"


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
    return {
        "actor": actor,
        "can": navigation.powers(actor),
        "places": navigation.places(actor),
        "theme": _choice(request, "theme", ("auto", "light", "dark")),
        "time_mode": _choice(request, "time", ("utc", "local")),
        "request_id": getattr(request, "request_id", ""),
        "demo": settings.DEMO,
        "support": settings.SUPPORT_CONTACT,
    }


def _choice(request: HttpRequest, cookie: str, choices: tuple[str, ...]) -> str:
    value = request.COOKIES.get(f"dagy-{cookie}", "")
    return value if value in choices else choices[0]


def read_only(view: Callable[..., Any]) -> Callable[..., Any]:
    """For a view that only shows: a wrong method is told so, and is not asked for a token that would not help."""
    return csrf_exempt(require_safe(view))


@cache
def address(page: str) -> str:
    """Of a page that takes nothing: a list has hundreds of links to it."""
    return reverse(page)


def is_api(request: HttpRequest) -> bool:
    """Whether the caller expects JSON: everything outside the console, the sign-in pages, and what links in messages
    open."""
    return not request.path.startswith(("/console", "/accounts", "/alerts/", "/static"))


def bearer_token(header: str) -> str:
    """The credential of an Authorization header; "" where there is none, or one of another scheme."""
    scheme, _, token = header.partition(" ")
    return token if scheme.lower() == "bearer" else ""


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


def refuse_other_sites(request: ConsoleRequest) -> None:
    """Raises CrossSite: what is recorded as somebody's doing must not be done by a link on a stranger's page."""
    if request.headers.get("Sec-Fetch-Site", "none") not in {"none", "same-origin"}:
        raise CrossSite("A page of another site led here, and nothing was handed out. Ask from the console itself.")

"""Finds out who acts, once a request, and keeps strangers out of the console."""

from collections.abc import Callable

import structlog
from django.http import HttpRequest, HttpResponse

from dagy_console.accounts.context import actor_of
from dagy_console.core.http import redirect_to_sign_in

_WITHOUT_ACTOR = ("/health", "/static/", "/docs", "/openapi.json")


class ActorMiddleware:
    """Sets `request.actor` (None: nobody). Under /console/ somebody must be signed in."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        actor = None if request.path.startswith(_WITHOUT_ACTOR) else actor_of(request)
        request.actor = actor  # type: ignore[attr-defined]
        if actor:
            structlog.contextvars.bind_contextvars(actor=actor.email)
        elif request.path.startswith("/console"):
            return redirect_to_sign_in(request)
        return self.get_response(request)

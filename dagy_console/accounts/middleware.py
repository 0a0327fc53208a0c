"""Finds out who acts, once a request, and keeps strangers and the suspended out of the console."""

from collections.abc import Callable

import structlog
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import SESSION_KEY
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import rotate_token
from django.urls import reverse
from django.utils import timezone

from dagy_console.accounts import credentials
from dagy_console.accounts.context import origin_of, session_label
from dagy_console.accounts.credentials import IMPERSONATING
from dagy_console.accounts.impersonation import services as impersonations
from dagy_console.accounts.sessions import using
from dagy_console.accounts.suspended import suspended_response
from dagy_console.core.actors import Actor
from dagy_console.core.http import POLL, is_api, redirect_to_sign_in

_WITHOUT_ACTOR = ("/health", "/metrics", "/static/", "/docs", "/openapi.json")


class ActorMiddleware:
    """Sets `request.actor` (None: nobody). Under /console/ somebody must be signed in.

    Who belongs to nothing but suspended organizations is told so everywhere, and may sign out.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        actor = None if request.path.startswith(_WITHOUT_ACTOR) else actor_of(request)
        request.actor = actor  # type: ignore[attr-defined]
        if actor is None:
            return redirect_to_sign_in(request) if request.path.startswith("/console") else self.get_response(request)
        _tell_logs(actor)
        if actor.is_locked_out and request.path != reverse("account_logout"):
            return suspended_response(request, actor)
        return self.get_response(request)


def actor_of(request: HttpRequest) -> Actor | None:
    """The actor of the bearer token or the session; None where there is none that counts.

    A bearer token that is given to the API decides alone: a wrong one never falls back to the session. Pages are for
    browsers, and look at their session alone.
    """
    header = request.headers.get("Authorization", "") if is_api(request) else ""
    return credentials.bearer(header, origin_of(request)) if header else _actor_of_session(request)


def _actor_of_session(request: HttpRequest) -> Actor | None:
    key, origin = request.session.session_key, origin_of(request)
    if not key:
        return None
    found = credentials.session(request.session, origin, label=session_label(key))
    # Django's own look-up of the user has nothing left to ask.
    request._cached_user = found.user if found else AnonymousUser()  # type: ignore[attr-defined]
    if found is None:
        if SESSION_KEY in request.session:
            request.session.flush()
        return None
    if found.left:
        _be_oneself_again(request)
    is_due = found.seen_at is None or timezone.now() - found.seen_at > using.SEEN_EVERY
    if is_due and POLL not in request.GET:
        using.note_use(found.user, key, origin)
    return found.actor


def _be_oneself_again(request: HttpRequest) -> None:
    """The impersonation that this browser was in has ended. What it sends now was meant to be done as that person: the
    new token refuses it."""
    cause = impersonations.why_it_ended(request.session.pop(IMPERSONATING))
    rotate_token(request)
    request.COOKIES[settings.CSRF_COOKIE_NAME] = request.META["CSRF_COOKIE"]
    messages.warning(request, f"You act as yourself again{': ' * bool(cause)}{cause}.")


def _tell_logs(actor: Actor) -> None:
    told = {"actor": actor.email, "impersonator": actor.impersonator.email if actor.impersonator else None}
    structlog.contextvars.bind_contextvars(**{name: value for name, value in told.items() if value})

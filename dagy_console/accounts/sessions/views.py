"""The pages of sessions: all of them for the staff, one's own for everybody, and their end."""

from collections.abc import Mapping
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from dagy_console.accounts.search import SESSIONS
from dagy_console.accounts.sessions import selectors, services
from dagy_console.accounts.sessions.forms import RevocationForm
from dagy_console.accounts.sessions.serializers import session_row
from dagy_console.accounts.sudo import sudo_required
from dagy_console.core.errors import Invalid
from dagy_console.core.forms import add_errors
from dagy_console.core.http import ConsoleRequest, render_page
from dagy_console.core.permissions import Permission
from dagy_console.core.words import counted
from dagy_console.listing.page import search_page


@require_safe
def sessions(request: ConsoleRequest) -> HttpResponse:
    rows = selectors.visible_to(request.actor)
    context = {"nav": "customers", "current": request.session.session_key}
    return search_page(request, SESSIONS, "accounts/sessions.html", rows, row=session_row, context=context)


@require_safe
def own_sessions(request: ConsoleRequest) -> HttpResponse:
    rows = [session_row(row) for row in selectors.own(request.actor)]
    context = {"nav": "account", "rows": rows, "current": request.session.session_key}
    return render_page(request, "accounts/own_sessions.html", context)


@require_POST
@sudo_required("End the session")
def end_session(request: ConsoleRequest, session_id: int) -> HttpResponse:
    """One, wherever it is listed; the reason is asked of the staff alone."""
    own = any(row.pk == session_id for row in selectors.own(request.actor))
    reason = request.POST.get("reason", "")
    services.end_session(actor=request.actor, session_id=session_id, reason=reason)
    messages.info(request, "The session has ended.")
    return redirect("accounts:own-sessions" if own else "accounts:sessions")


@require_POST
@sudo_required("End all your other sessions")
def end_others(request: ConsoleRequest) -> HttpResponse:
    ended = services.end_others(actor=request.actor, keep=request.session.session_key)
    messages.info(request, f"{counted(ended, 'other session')} ended.")
    return redirect("accounts:own-sessions")


def _deed(request: ConsoleRequest) -> str:
    return f"End all sessions of {_about(request.POST)}"


@require_http_methods(["GET", "HEAD", "POST"])
@sudo_required(_deed)
def revoke(request: ConsoleRequest) -> HttpResponse:
    """The question, and the end of all sessions of a person, of an organization's members, or of the staff."""
    request.actor.require(Permission.SESSIONS_REVOKE)
    form = RevocationForm(request.POST or None, initial=request.GET.dict())
    if request.method != "POST" or not form.is_valid():
        return _question(request, form)
    try:
        ended = services.revoke(actor=request.actor, reason=form.cleaned_data["reason"], **form.whose)  # type: ignore[arg-type]
    except Invalid as error:
        return _question(request, add_errors(form, error))
    told = [counted(ended.sessions, "session"), counted(ended.access_tokens, "access token")]
    messages.info(request, f"{', '.join([*told, counted(ended.impersonations, 'impersonation')])} ended.")
    return redirect("accounts:sessions")


def _question(request: ConsoleRequest, form: RevocationForm) -> HttpResponse:
    given = request.POST if form.is_bound else request.GET
    whose = {"email": given.get("email", ""), "org_id": given.get("org_id", "")}
    users = selectors.people(**whose, super_admins=bool(given.get("super_admins")))
    context = {
        "nav": "customers",
        "form": form,
        "about": _about(given),
        "people": users.count(),
        "sessions": selectors.live().filter(user__in=users.values("pk")).count(),
        "own": users.filter(pk=int(request.actor.id)).exists(),
        "back_url": reverse("accounts:sessions"),
    }
    return render_page(request, "accounts/revoke.html", context, status=422 if form.errors else 200)


def _about(given: Mapping[str, Any]) -> str:
    return "all super admins" if given.get("super_admins") else given.get("org_id", "") or given.get("email", "")

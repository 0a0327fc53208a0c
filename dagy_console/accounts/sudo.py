"""Sudo: what destroys or reaches far asks who is in front of the browser, unless they proved it minutes ago.

The page that asks holds the form that was sent, whole; the answer comes back with it to the same address, and the view
goes on with exactly that form. Nothing is kept in between, so two tabs never meet, and nothing is done twice.
API tokens and keys rest on their permissions and scopes.
"""

import time
from collections.abc import Callable
from functools import wraps
from typing import Any, cast

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from dagy_console.accounts import proving
from dagy_console.accounts.forms import PROOF_FIELDS, ProofForm
from dagy_console.accounts.models import User
from dagy_console.accounts.second_factor import has_second_factor
from dagy_console.audit.actions import Action
from dagy_console.audit.recorder import refuse_impersonator
from dagy_console.core.http import SAFE_METHODS, ConsoleRequest
from dagy_console.core.words import duration

What = str | Callable[..., str]
View = Callable[..., HttpResponse]


def is_proven(request: HttpRequest) -> bool:
    """Whether the person signed in, or proved again who they are, less than DAGY_SUDO_SECONDS ago."""
    proved_at: float = request.session.get(proving.PROVED_AT, 0)
    return 0 <= time.time() - proved_at < settings.SUDO_SECONDS


def sudo_required(what: What) -> Callable[[View], View]:
    """For a view whose POST needs a fresh proof. `what` says what will happen, in the words of a button
    ("Suspend {org_id}", filled with the view's arguments), or is a function of the view's arguments that does."""

    def decorate(view: View) -> View:
        @wraps(view)
        def guarded(request: ConsoleRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            if request.method in SAFE_METHODS or is_proven(request):
                return view(request, *args, **kwargs)
            # Whoever acts as somebody else proves nothing about them.
            refuse_impersonator(Action.SUDO_GRANTED, request.actor)
            form = ProofForm(_answer(request), user=cast(User, request.user))
            if form.is_bound and _proves(request, form):
                return view(_without_proof(request), *args, **kwargs)
            deed = what(request, *args, **kwargs) if callable(what) else what.format(**kwargs)
            return _ask(request, form, deed)

        return guarded

    return decorate


def _answer(request: HttpRequest) -> Any:
    """What was filled in on the page that asks; None where the form comes from elsewhere."""
    return request.POST if any(name in request.POST for name in PROOF_FIELDS) else None


def _proves(request: ConsoleRequest, form: ProofForm) -> bool:
    problem = proving.prove(request, form)
    if problem:
        form.add_error(None, problem)
    return not problem


def _without_proof(request: ConsoleRequest) -> ConsoleRequest:
    post = request.POST.copy()
    for name in PROOF_FIELDS:
        post.pop(name, None)
    request.POST = post  # type: ignore[assignment]
    return request


def _ask(request: ConsoleRequest, form: ProofForm, deed: str) -> HttpResponse:
    left_out = {*PROOF_FIELDS, "csrfmiddlewaretoken"}
    fields = [(name, value) for name, values in request.POST.lists() if name not in left_out for value in values]
    context = {
        "form": form,
        "deed": deed,
        "fields": fields,
        "age": duration(settings.SUDO_SECONDS),
        "has_factor": has_second_factor(form.user.pk),
        "passkey_options": proving.passkey_options(form.user),
    }
    return render(request, "account/sudo.html", context, status=422 if form.errors else 200)

"""Proving again who one is: by password. Each try is on record and counts for a limit."""

import time
from collections.abc import Callable

from allauth.core.internal import ratelimit
from allauth.usersessions.models import UserSession
from django.db import transaction

from dagy_console.accounts.context import session_label
from dagy_console.accounts.forms import ProofForm
from dagy_console.accounts.models import Impersonation
from dagy_console.audit.actions import Action, Outcome
from dagy_console.audit.recorder import record_for_each_organization
from dagy_console.core.http import ConsoleRequest

# In a browser's session: when its person last proved who they are, in seconds since 1970.
PROVED_AT = "proved_at"


def prove(request: ConsoleRequest, form: ProofForm) -> str:
    """What is wrong with the answer; "" where it is right: then the session is fresh, and has a new key."""
    if _too_often(request):
        return "Too many tries. Wait a minute and try again. Nothing was done yet."
    right = form.is_valid() and form.user.check_password(form.cleaned_data["sudo_password"])
    with transaction.atomic():
        if right:
            renew(request)
        record_for_each_organization(
            Action.SUDO_GRANTED if right else Action.SUDO_DENIED,
            actor=request.actor,
            resource_type="session",
            resource_id=session_label(request.session.session_key),
            resource_name=request.path,
            outcome=Outcome.SUCCESS if right else Outcome.DENIED,
        )
    return "" if right else "The password is wrong. Nothing was done yet."


def _too_often(request: ConsoleRequest) -> bool:
    return not ratelimit.consume(request, app="allauth.account", action="reauthenticate", user=request.user)


def renew(request: ConsoleRequest, cycle: Callable[[], None] | None = None) -> None:
    """A new key for the session: the old one, should somebody have it, opens nothing any more.

    `cycle` gives the session that key, where it has more to do than that.
    """
    before = request.session.session_key
    (cycle or request.session.cycle_key)()
    request.session[PROVED_AT] = time.time()
    after = request.session.session_key
    UserSession.objects.filter(session_key=before).update(session_key=after)
    Impersonation.objects.filter(session=session_label(before)).update(session=session_label(after))

"""Proving again who one is: by the second factor where there is one, else by password.

Each try is on record and counts for a limit.
"""

import time
from collections.abc import Callable
from typing import Any

from allauth.account.internal.flows.reauthentication import reauthenticate_by_password
from allauth.core.internal import ratelimit
from allauth.mfa.base.forms import ReauthenticateForm
from allauth.mfa.models import Authenticator
from allauth.mfa.webauthn.internal.auth import begin_authentication
from allauth.mfa.webauthn.internal.flows import reauthenticate
from allauth.usersessions.models import UserSession
from django.db import transaction

from dagy_console.accounts.context import session_label
from dagy_console.accounts.factor_forms import ReauthenticatePasskeyForm
from dagy_console.accounts.forms import ProofForm
from dagy_console.accounts.models import Impersonation, User
from dagy_console.accounts.second_factor import has_second_factor
from dagy_console.audit.actions import Action, Outcome
from dagy_console.audit.recorder import record_for_each_organization
from dagy_console.core.http import ConsoleRequest

# In a browser's session: when its person last proved who they are, in seconds since 1970.
PROVED_AT = "proved_at"


def prove(request: ConsoleRequest, form: ProofForm) -> str:
    """What is wrong with the answer; "" where it is right: then the session is fresh, and has a new key."""
    if _too_often(request):
        return "Too many tries. Wait a minute and try again. Nothing was done yet."
    with transaction.atomic():
        right = form.is_valid() and _is_right(request, form)
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
    return "" if right else "That was not right. Nothing was done yet."


def _is_right(request: ConsoleRequest, form: ProofForm) -> bool:
    given = form.cleaned_data
    if not has_second_factor(form.user.pk):
        if not form.user.check_password(given["sudo_password"]):
            return False
        reauthenticate_by_password(request)
        return True
    if given["credential"]:
        passkey = ReauthenticatePasskeyForm(user=form.user, data={"credential": given["credential"]})
        if passkey.is_valid():
            reauthenticate(request, passkey.cleaned_data["credential"])
        return bool(passkey.is_valid())
    code = ReauthenticateForm(user=form.user, data={"code": given["sudo_code"]})
    if code.is_valid():
        code.save()
    return bool(code.is_valid())


def passkey_options(user: User) -> dict[str, Any] | None:
    """What the browser is to ask the person's devices for; None where they have no passkey."""
    if not Authenticator.objects.filter(user=user, type=Authenticator.Type.WEBAUTHN).exists():
        return None
    options: dict[str, Any] = begin_authentication(user)
    return options


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

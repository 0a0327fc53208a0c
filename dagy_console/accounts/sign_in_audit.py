"""Sign-ins, failed ones and sign-outs go into the audit log. allauth and Django tell of them by signals only."""

import time
from typing import Any

from allauth.account.internal.flows.login import get_authentication_records
from allauth.mfa.models import Authenticator
from allauth.mfa.signals import authentication_failed
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.db import transaction
from django.dispatch import receiver
from django.http import HttpRequest

from dagy_console.accounts.context import origin_of, session_label
from dagy_console.accounts.credentials import actor_for
from dagy_console.accounts.impersonation.services import end_of_session
from dagy_console.accounts.models import User
from dagy_console.accounts.proving import PROVED_AT
from dagy_console.accounts.sessions.using import note_use
from dagy_console.audit.actions import Action, Outcome
from dagy_console.audit.recorder import record, record_for_each_organization
from dagy_console.core.actors import Actor, ActorKind


@receiver(user_logged_in)
def record_sign_in(request: HttpRequest, user: User, **_: Any) -> None:
    request.session[PROVED_AT] = time.time()
    # At once, and not with the next request: what is not listed can't be revoked.
    note_use(user, str(request.session.session_key), origin_of(request))
    factors = dict.fromkeys(one.get("type", one["method"]) for one in get_authentication_records(request, user))
    _record(Action.SIGNED_IN, request, user, after={"factors": list(factors)})


@receiver(authentication_failed)
def record_wrong_second_factor(request: HttpRequest, user: User, authenticator: Authenticator, **_: Any) -> None:
    with transaction.atomic():
        record(
            Action.SIGN_IN_FAILED,
            # A known actor proves anew who it is; who has the password alone need not be its owner.
            actor=getattr(request, "actor", None) or Actor(kind=ActorKind.ANONYMOUS, origin=origin_of(request)),
            resource_type="user",
            resource_id=user.email,
            resource_name=user.email,
            outcome=Outcome.DENIED,
            after={"factor": authenticator.type},
        )


@receiver(user_logged_out)
def record_sign_out(request: HttpRequest, user: User | None, **_: Any) -> None:
    if user is not None:
        _record(Action.SIGNED_OUT, request, user)
        label = session_label(request.session.session_key)
        end_of_session(actor=actor_for(user, origin_of(request)), session=label, cause="they signed out")


@receiver(user_login_failed)
def record_failed_sign_in(credentials: dict[str, Any], request: HttpRequest | None = None, **_: Any) -> None:
    if request is None:
        return
    email = str(credentials.get("email") or "").replace("\x00", "")[:254]
    with transaction.atomic():
        record(
            Action.SIGN_IN_FAILED,
            # Whoever it was, it need not be who the address belongs to.
            actor=Actor(kind=ActorKind.ANONYMOUS, origin=origin_of(request)),
            resource_type="user",
            resource_id=email.strip().lower(),
            resource_name=email,
            outcome=Outcome.DENIED,
        )


def _record(action: Action, request: HttpRequest, user: User, **fields: Any) -> None:
    with transaction.atomic():
        actor = actor_for(user, origin_of(request), credential=session_label(request.session.session_key))
        record_for_each_organization(
            action, actor=actor, resource_type="session", resource_id=actor.credential, **fields
        )

"""Acting as somebody else: how a super admin begins it, and all the ways in which it ends.

Whether it holds is read at each request (accounts/credentials.py): its time, the target's state, the super admin's own.
Here is its beginning, its end, and the record of both.
"""

import uuid
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from dagy_console.accounts.credentials import actor_for
from dagy_console.accounts.models import IMPERSONATION_MINUTES, Impersonation, Membership, User
from dagy_console.accounts.selectors import owners_of
from dagy_console.accounts.tokens import IMPERSONATION, digest, new_token
from dagy_console.audit.actions import Action
from dagy_console.audit.recorder import record_in_each
from dagy_console.core import mail, reasons
from dagy_console.core.actors import SYSTEM, Actor, Origin
from dagy_console.core.errors import Invalid, NotFound
from dagy_console.core.permissions import Permission

TIME_IS_OVER = "its time was over"


@transaction.atomic
def start(
    *, actor: Actor, email: str, reason: str, minutes: int, read_only: bool = True, session: str = ""
) -> tuple[Impersonation, str]:
    """Begin to act as the user with this email; with what token ("" for that of a browser's `session`).

    Raises PermissionDenied, Invalid: no reason, no such time, nobody who may be acted as.
    """
    actor.require(Permission.USERS_IMPERSONATE)
    reason = reasons.checked(reason)
    if minutes not in IMPERSONATION_MINUTES:
        raise Invalid.field("minutes", f"write one of {', '.join(map(str, IMPERSONATION_MINUTES))}")
    user = _target(actor, email)
    token = "" if session else new_token(IMPERSONATION)
    impersonation = Impersonation.objects.create(
        impersonator_id=int(actor.id),
        user=user,
        reason=reason,
        read_only=read_only,
        session=session,
        digest=digest(token) if token else None,
        expires_at=timezone.now() + timedelta(minutes=minutes),
    )
    _record(Action.IMPERSONATION_STARTED, impersonation, actor=actor, reason=reason)
    if settings.IMPERSONATION_MAIL:
        _tell_owners(impersonation)
    return impersonation, token


def end(*, actor: Actor, impersonation_id: uuid.UUID) -> Impersonation:
    """End it, one's own or another's. Ending it twice is no error and is recorded once.

    Raises PermissionDenied, NotFound.
    """
    own = actor.impersonator and actor.impersonator.impersonation == str(impersonation_id)
    if not own:
        actor.require(Permission.USERS_IMPERSONATE)
    if not Impersonation.objects.filter(pk=impersonation_id).exists():
        raise NotFound("There is no such impersonation.")
    _end(Q(pk=impersonation_id), actor=actor, cause="they ended it" if own else "another super admin ended it")
    return Impersonation.objects.select_related("user", "impersonator").get(pk=impersonation_id)


def end_of_session(*, actor: Actor, session: str, cause: str) -> int:
    """End those that a browser's session is in; how many."""
    return _end(Q(session=session), actor=actor, cause=cause) if session else 0


def end_of_users(*, actor: Actor, users: Any, cause: str) -> int:
    """End those of these super admins, by session and by token; how many."""
    return _end(Q(impersonator__in=users), actor=actor, cause=cause)


def end_due() -> int:
    """Put on record that those whose time is over have ended; how many. Two at once share them."""
    return _end(Q(expires_at__lte=Now()), actor=SYSTEM, cause=TIME_IS_OVER)


def why_it_ended(impersonation_id: str) -> str:
    """Why it does not hold any more, for who was in it: the cause on record, or what the target has become."""
    row = Impersonation.objects.filter(pk=impersonation_id).first()
    if row is None or row.cause:
        return row.cause if row else ""
    over = row.expires_at <= timezone.now()
    cause = TIME_IS_OVER if over else "the person may not be acted as any more"
    _end(Q(pk=row.pk), actor=SYSTEM, cause=cause)
    return cause


@transaction.atomic
def _end(which: Q, *, actor: Actor, cause: str) -> int:
    rows = Impersonation.objects.filter(which, ended_at=None).select_for_update(of=("self",))
    found = list(rows.select_related("user", "impersonator").order_by("pk"))
    now = timezone.now()
    for row in found:
        before = row.snapshot()
        row.ended_at, row.cause = min(now, row.expires_at), cause
        row.save(update_fields=["ended_at", "cause"])
        _record(Action.IMPERSONATION_ENDED, row, actor=actor, reason=cause, before=before)
    return len(found)


def _target(actor: Actor, email: str) -> User:
    user = User.objects.filter(email=email.strip(), is_active=True).first()
    if user is None:
        raise Invalid.field("email", "nobody who is active has this address")
    if str(user.pk) == actor.id:
        raise Invalid.field("email", "that is you")
    if user.super_admin:
        raise Invalid.field("email", "this is a super admin: nobody acts as one")
    if actor_for(user, Origin()).is_locked_out:
        raise Invalid.field("email", "all that this person belongs to is suspended")
    return user


def _record(
    action: Action,
    impersonation: Impersonation,
    *,
    actor: Actor,
    reason: str,
    before: Mapping[str, Any] | None = None,
) -> None:
    """In each organization of the person, whose readers may know; in none where there is none."""
    org_ids = Membership.objects.filter(user=impersonation.user).values_list("organization_id", flat=True)
    record_in_each(
        action,
        actor=actor,
        org_ids=org_ids,
        resource_type="impersonation",
        resource_id=str(impersonation.pk),
        resource_name=impersonation.user.email,
        before=before,
        after=impersonation.snapshot(),
        reason=reason,
    )


def _tell_owners(impersonation: Impersonation) -> None:
    addresses = owners_of(impersonation.user.memberships.values("organization"))
    if addresses:
        subject = f"Dagy staff looks at Dagy as {impersonation.user.email}"
        mail.send(to=addresses, subject=subject, template="impersonation", context={"impersonation": impersonation})

"""Ending sessions: one, all of a person, of an organization's members, or of the staff.

A session is a row: with the row gone, the next request that brings its key is a stranger's. What the same people hold
as access tokens ends with them, and so do the impersonations that they began.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from dagy_console.accounts.context import session_label
from dagy_console.accounts.impersonation import services as impersonation
from dagy_console.accounts.models import Membership, Organization, User
from dagy_console.accounts.selectors import live_tokens
from dagy_console.accounts.sessions import selectors
from dagy_console.audit.actions import Action
from dagy_console.audit.recorder import record, record_in_each
from dagy_console.core import reasons
from dagy_console.core.actors import Actor
from dagy_console.core.errors import Invalid, NotFound
from dagy_console.core.permissions import Permission

CAUSE = "their session was revoked"


@dataclass(frozen=True, slots=True)
class Ended:
    """How many ended of each."""

    sessions: int
    access_tokens: int = 0
    impersonations: int = 0


@transaction.atomic
def end_session(*, actor: Actor, session_id: int, reason: str = "") -> None:
    """End one: one's own, or anybody's for the staff. Raises NotFound, Invalid."""
    row = selectors.get_session(actor, session_id)
    label = session_label(row.session_key)
    _delete([row.session_key])
    impersonation.end_of_session(actor=actor, session=label, cause=CAUSE)
    _record(
        actor,
        [row.user_id],
        resource_type="session",
        resource_id=label,
        resource_name=row.email,
        reason=reasons.checked_text(reason, field="reason"),
        before={"user": row.email, "signed_in": row.created_at, "last_seen": row.last_seen_at},
    )


@transaction.atomic
def end_others(*, actor: Actor, keep: str | None) -> int:
    """End all of one's own but the session with the key `keep`; how many."""
    mine = selectors.live().filter(user=int(actor.id)).exclude(session_key=keep)
    keys = list(mine.values_list("session_key", flat=True))
    for key in keys:
        impersonation.end_of_session(actor=actor, session=session_label(key), cause=CAUSE)
    _delete(keys)
    if keys:
        after = asdict(Ended(len(keys)))
        _record(
            actor, [int(actor.id)], resource_type="user", resource_id=actor.id, resource_name=actor.email, after=after
        )
    return len(keys)


@transaction.atomic
def end_all_own(*, actor: Actor) -> Ended:
    """End all that one is signed in by: sessions and access tokens, and the impersonations that one began."""
    ended = _end_all(actor, [int(actor.id)])
    if ended != Ended(0):
        fields = {"resource_type": "user", "resource_id": actor.id, "resource_name": actor.email}
        _record(actor, [int(actor.id)], **fields, after=asdict(ended))
    return ended


@transaction.atomic
def revoke(*, actor: Actor, reason: str, email: str = "", org_id: str = "", super_admins: bool = False) -> Ended:
    """End all sessions and access tokens, and the impersonations, of one person, of an organization's members, or of
    all super admins, one's own with them.

    Raises PermissionDenied, Invalid: no reason, not exactly one of the three, nobody with this email; NotFound: no such
    organization.
    """
    actor.require(Permission.SESSIONS_REVOKE)
    reason = reasons.checked(reason)
    users, about = _whose(email=email, org_id=org_id, super_admins=super_admins)
    user_ids = list(users.values_list("pk", flat=True))
    ended = _end_all(actor, user_ids)
    told: dict[str, Any] = about | {"reason": reason, "after": asdict(ended)}
    if org_id:
        record(Action.SESSIONS_REVOKED, actor=actor, org_id=org_id, **told)
    else:
        _record(actor, user_ids if email else [], **told)
    return ended


def _whose(*, email: str, org_id: str, super_admins: bool) -> tuple[QuerySet[User], dict[str, str]]:
    """The people, and what the record says that it was about."""
    if [bool(email), bool(org_id), super_admins].count(True) != 1:
        raise Invalid.field("email", "give exactly one of email, org_id and super_admins")
    users = selectors.people(email=email, org_id=org_id, super_admins=super_admins)
    if super_admins:
        return users, {"resource_type": "platform", "resource_id": "super_admins", "resource_name": "all super admins"}
    if org_id:
        organization = Organization.objects.filter(pk=org_id).first()
        if organization is None:
            raise NotFound("There is no such organization.")
        return users, {"resource_type": "organization", "resource_id": org_id, "resource_name": organization.name}
    user = users.first()
    if user is None:
        raise Invalid.field("email", "nobody has this address")
    return users, {"resource_type": "user", "resource_id": str(user.pk), "resource_name": user.email}


def _end_all(actor: Actor, user_ids: Sequence[int]) -> Ended:
    keys = list(selectors.live().filter(user__in=user_ids).values_list("session_key", flat=True))
    return Ended(
        sessions=_delete(keys),
        access_tokens=live_tokens(user_ids).update(revoked_at=timezone.now()),
        impersonations=impersonation.end_of_users(actor=actor, users=user_ids, cause=CAUSE),
    )


def _delete(keys: Sequence[str]) -> int:
    """The sessions with these keys open nothing any more; how many did until now."""
    ended, _ = Session.objects.filter(session_key__in=keys).delete()
    UserSession.objects.filter(session_key__in=keys).delete()
    return ended


def _record(actor: Actor, user_ids: Sequence[int], **fields: Any) -> None:
    """In each organization of these people, whose readers may know; in none where there is none."""
    org_ids = Membership.objects.filter(user__in=user_ids).values_list("organization_id", flat=True).distinct()
    record_in_each(Action.SESSIONS_REVOKED, actor=actor, org_ids=org_ids, **fields)

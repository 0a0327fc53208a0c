"""Reading sessions: all of them for the platform's staff, one's own for everybody."""

from typing import Any, cast

from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.db.models import Exists, F, OuterRef, QuerySet
from django.db.models.functions import Now

from dagy_console.accounts.models import User
from dagy_console.core.actors import Actor
from dagy_console.core.errors import NotFound
from dagy_console.core.permissions import Permission


def visible_to(actor: Actor) -> QuerySet[Any]:
    """Every session that opens a door now, with `email` and `super_admin`. Raises PermissionDenied."""
    actor.require(Permission.SESSIONS_REVOKE)
    return live()


def live() -> QuerySet[Any]:
    kept = Session.objects.filter(session_key=OuterRef("session_key"), expire_date__gt=Now())
    rows = cast(QuerySet[Any], UserSession.objects.filter(Exists(kept)))
    annotated: QuerySet[Any] = rows.annotate(email=F("user__email"), super_admin=F("user__super_admin"))
    return annotated


def own(actor: Actor) -> list[Any]:
    """The actor's own sessions, the last used first."""
    return list(live().filter(user=int(actor.id)).order_by("-last_seen_at")) if actor.id.isdecimal() else []


def get_session(actor: Actor, session_id: int) -> Any:
    """One's own, or any for the staff. Raises NotFound, also for another's."""
    row = live().filter(pk=session_id).first()
    if row is None or not (str(row.user_id) == actor.id or actor.can(Permission.SESSIONS_REVOKE)):
        raise NotFound("There is no such session, or it has ended.")
    return row


def people(*, email: str = "", org_id: str = "", super_admins: bool = False) -> QuerySet[User]:
    """Whose sessions a revocation is about: one person, an organization's members, or the staff."""
    if super_admins:
        return User.objects.filter(super_admin=True)
    if org_id:
        return User.objects.filter(memberships__organization=org_id)
    return User.objects.filter(email=email.strip().lower())

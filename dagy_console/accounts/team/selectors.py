"""Reading an organization's members and invitations."""

from typing import Any

from django.db.models import F, QuerySet
from django.db.models.functions import Now

from dagy_console.accounts.models import Invitation, Membership, Organization
from dagy_console.accounts.tokens import digest
from dagy_console.core.actors import Actor
from dagy_console.core.errors import NotFound
from dagy_console.core.permissions import Permission


def visible_to(actor: Actor) -> QuerySet[Any]:
    """The members, with `email` and `name`, of each organization whose team the actor may read."""
    rows: QuerySet[Any] = actor.scoped(Membership.objects.select_related("user", "organization"), Permission.TEAM_READ)
    annotated: QuerySet[Any] = rows.annotate(email=F("user__email"), name=F("user__name"))
    return annotated


def organization_of(actor: Actor, org_id: str = "") -> str:
    """The organization that is meant: the one that is named, else the actor's only one. Raises NotFound."""
    if org_id or actor.org_id:
        return _known(org_id or actor.org_id)
    raise NotFound("Say which organization: give org_id.")


def open_invitations(actor: Actor, org_ids: list[str] | None = None) -> list[Invitation]:
    """Those that may still be accepted, newest first, at most 200."""
    rows = actor.scoped(_open(), Permission.TEAM_READ)
    rows = rows.filter(organization__in=org_ids) if org_ids is not None else rows
    return list(rows.select_related("organization").order_by("-created_at", "-id")[:200])


def invitation_of(token: str) -> Invitation | None:
    """The invitation that a mailed link opens; None where it was used, withdrawn, is too old, or never was."""
    return _open().select_related("organization").filter(digest=digest(token)).first()


def _open() -> QuerySet[Invitation]:
    return Invitation.objects.filter(accepted_at=None, withdrawn_at=None, expires_at__gt=Now())


def _known(org_id: str) -> str:
    if not Organization.objects.filter(pk=org_id).exists():
        raise NotFound("There is no such organization, or you may not see it.")
    return org_id

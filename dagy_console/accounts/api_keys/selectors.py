"""Reading API keys, and what a new one may hold."""

import uuid

from django.db.models import Case, Q, QuerySet, TextField, Value, When
from django.db.models.functions import Now

from dagy_console.accounts.models import ApiKey
from dagy_console.core.actors import Actor
from dagy_console.core.errors import NotFound
from dagy_console.core.permissions import Permission

_STATE = Case(
    When(~Q(revoked_at=None), then=Value("revoked")),
    When(Q(expires_at__lte=Now()), then=Value("expired")),
    default=Value("active"),
    output_field=TextField(),
)


def visible_to(actor: Actor, permission: Permission = Permission.API_KEYS_READ) -> QuerySet[ApiKey]:
    """Every key for the platform's staff; for others those of the organizations in which they have the permission.

    Raises PermissionDenied.
    """
    return actor.scoped(ApiKey.objects.select_related("created_by").annotate(state=_STATE), permission)


def key_to_revoke(actor: Actor, key_id: uuid.UUID) -> ApiKey:
    """Raises PermissionDenied, NotFound."""
    key = visible_to(actor, Permission.API_KEYS_WRITE).filter(pk=key_id).first()
    if key is None:
        raise NotFound("There is no such API key, or it is not yours to revoke.")
    return key


def places_for_keys(actor: Actor) -> list[str]:
    """Where the actor may make keys: "" is the platform, the rest are organizations they belong to."""
    organizations = sorted(org for org in actor.roles if actor.can(Permission.API_KEYS_WRITE, org_id=org))
    platform = actor.super_admin and actor.can_somewhere(Permission.API_KEYS_WRITE)
    return ["", *organizations] if platform else organizations


def grantable(actor: Actor, org_id: str | None) -> frozenset[Permission]:
    """What a key of the actor there may do at most: what their role does; of the platform (None), what they may.

    A super admin's key of an organization acts with their role in it, and not with their power over all.
    """
    if org_id is None:
        return actor.permissions()
    return frozenset(permission for permission in Permission if org_id in actor.orgs_with(permission))

"""Reading rotations, as far as the actor may."""

import uuid

from django.db.models import Q, QuerySet
from django.utils import timezone

from dagy_console.alerts.models import Channel, Rotation, Rule
from dagy_console.alerts.on_call import with_overrides
from dagy_console.core.actors import Actor
from dagy_console.core.errors import NotFound
from dagy_console.core.permissions import Permission


def visible_to(actor: Actor, permission: Permission = Permission.NOTIFICATIONS_READ) -> QuerySet[Rotation]:
    """Every one for the platform's staff; for others those of the organizations in which they have the permission,
    never the platform's. Raises PermissionDenied."""
    return actor.scoped(Rotation.objects.all(), permission)


def with_turns(rows: QuerySet[Rotation]) -> QuerySet[Rotation]:
    """`channels.all()` are those of the turns, `overrides.all()` those that are not over, each with its channel."""
    return with_overrides(rows, timezone.now()).prefetch_related("channels")


def get_rotation(
    actor: Actor, rotation_id: uuid.UUID, permission: Permission = Permission.NOTIFICATIONS_READ
) -> Rotation:
    """With its turns. Raises PermissionDenied, NotFound."""
    rotation = with_turns(visible_to(actor, permission)).filter(pk=rotation_id).first()
    if rotation is None:
        raise NotFound("There is no such rotation, or it is not yours.")
    return rotation


def rules_of(rotation: Rotation) -> QuerySet[Rule]:
    """Those that tell whoever is on call of it, at once or by a step."""
    by_step = Q(escalation__contains=[{"rotation_ids": [str(rotation.pk)]}])
    return Rule.objects.filter(Q(rotations=rotation) | by_step).distinct().order_by("name")


def channels_for(actor: Actor, org_id: str) -> QuerySet[Channel]:
    """Whom a rotation of the organization, or with "" of the platform, can put on call. Raises PermissionDenied."""
    return actor.scoped(Channel.objects.all(), Permission.NOTIFICATIONS_WRITE).filter(organization=org_id or None)

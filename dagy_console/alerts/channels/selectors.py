"""Reading channels, as far as the actor may."""

import uuid

from django.db.models import QuerySet

from dagy_console.alerts.models import Channel
from dagy_console.core.actors import Actor
from dagy_console.core.errors import NotFound
from dagy_console.core.permissions import Permission


def visible_to(actor: Actor, permission: Permission = Permission.NOTIFICATIONS_READ) -> QuerySet[Channel]:
    """Every channel for the platform's staff; for others those of the organizations in which they have the permission,
    never the platform's. Raises PermissionDenied."""
    return actor.scoped(Channel.objects.all(), permission)


def get_channel(actor: Actor, channel_id: uuid.UUID, permission: Permission = Permission.NOTIFICATIONS_READ) -> Channel:
    """Raises PermissionDenied, NotFound."""
    channel = visible_to(actor, permission).filter(pk=channel_id).first()
    if channel is None:
        raise NotFound("There is no such channel, or it is not yours.")
    return channel

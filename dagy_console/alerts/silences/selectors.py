"""Reading silences, as far as the actor may."""

import uuid

from django.db.models import Count, QuerySet

from dagy_console.alerts.models import Silence
from dagy_console.core.actors import Actor
from dagy_console.core.errors import NotFound
from dagy_console.core.permissions import Permission


def visible_to(actor: Actor, permission: Permission = Permission.NOTIFICATIONS_READ) -> QuerySet[Silence]:
    """Every one for the platform's staff; for others those of the organizations in which they have the permission,
    never the platform's. Raises PermissionDenied."""
    return actor.scoped(Silence.objects.all(), permission)


def with_hidden(rows: QuerySet[Silence]) -> QuerySet[Silence]:
    """`hidden`: how many alerts each kept quiet."""
    return rows.annotate(hidden=Count("alerts"))


def get_silence(actor: Actor, silence_id: uuid.UUID, permission: Permission = Permission.NOTIFICATIONS_READ) -> Silence:
    """Raises PermissionDenied, NotFound."""
    silence = with_hidden(visible_to(actor, permission)).filter(pk=silence_id).first()
    if silence is None:
        raise NotFound("There is no such silence, or it is not yours.")
    return silence

"""Reading schedules, as far as the actor may."""

import uuid

from django.db.models import QuerySet

from dagy_console.core.actors import Actor
from dagy_console.core.errors import NotFound
from dagy_console.core.permissions import Permission
from dagy_console.runs.models import Schedule


def visible_to(actor: Actor, permission: Permission = Permission.SCHEDULES_READ) -> QuerySet[Schedule]:
    """Every schedule for the platform's staff; for others those of the organizations in which they have the
    permission. Raises PermissionDenied."""
    return actor.scoped(Schedule.objects.select_related("flow"), permission)


def get_schedule(actor: Actor, schedule_id: uuid.UUID, permission: Permission = Permission.SCHEDULES_READ) -> Schedule:
    """Raises PermissionDenied, NotFound."""
    schedule = visible_to(actor, permission).filter(pk=schedule_id).first()
    if schedule is None:
        raise NotFound("There is no such schedule, or it is not yours.")
    return schedule

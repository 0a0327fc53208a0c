"""Reading deliveries, as far as the actor may."""

import uuid

from django.db.models import QuerySet

from dagy_console.alerts.models import Delivery
from dagy_console.core.actors import Actor
from dagy_console.core.errors import NotFound
from dagy_console.core.permissions import Permission


def visible_to(actor: Actor, permission: Permission = Permission.NOTIFICATIONS_READ) -> QuerySet[Delivery]:
    """Every one for the platform's staff; for others those of the organizations in which they have the permission.

    Raises PermissionDenied.
    """
    return actor.scoped(Delivery.objects.select_related("channel"), permission)


def with_attempts(rows: QuerySet[Delivery]) -> QuerySet[Delivery]:
    return rows.prefetch_related("tries")


def get_delivery(
    actor: Actor, delivery_id: uuid.UUID, permission: Permission = Permission.NOTIFICATIONS_READ
) -> Delivery:
    """Raises PermissionDenied, NotFound."""
    delivery = visible_to(actor, permission).filter(id=delivery_id).first()
    if delivery is None:
        raise NotFound("There is no such delivery, or it is not yours.")
    return delivery

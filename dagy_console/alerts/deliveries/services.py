"""Sending again what was given up."""

import uuid

from django.db import transaction
from django.utils import timezone

from dagy_console.alerts import outbox
from dagy_console.alerts.deliveries import selectors
from dagy_console.alerts.models import Delivery, DeliveryStatus
from dagy_console.audit.actions import Action
from dagy_console.audit.recorder import record
from dagy_console.core.actors import Actor
from dagy_console.core.errors import Conflict
from dagy_console.core.permissions import Permission


@transaction.atomic
def resend(*, actor: Actor, delivery_id: uuid.UUID) -> Delivery:
    """Under its own key, so that who has it after all can tell.

    Raises PermissionDenied, NotFound, Conflict (it waits to be sent).
    """
    known = selectors.get_delivery(actor, delivery_id, Permission.NOTIFICATIONS_WRITE)
    delivery = Delivery.objects.select_for_update(of=("self",)).select_related("channel").get(pk=known.pk)
    if delivery.status == DeliveryStatus.WAITING:
        raise Conflict("It waits to be sent already.")
    before = {"status": str(delivery.status), "attempts": delivery.attempts}
    delivery.status, delivery.next_at, delivery.attempts = DeliveryStatus.WAITING, timezone.now(), 0
    delivery.save(update_fields=["status", "next_at", "attempts"])
    record(
        Action.DELIVERY_RESENT,
        actor=actor,
        resource_type="delivery",
        resource_id=str(delivery.id),
        resource_name=delivery.channel.name,
        org_id=delivery.organization_id or "",
        before=before,
        after={"status": str(delivery.status), "attempts": 0},
    )
    outbox.hand_over(delivery)
    return delivery

"""Reading alerts, as far as the actor may."""

import uuid

from django.db.models import F, QuerySet

from dagy_console.alerts.models import Alert, AlertStatus, Delivery
from dagy_console.core.actors import Actor
from dagy_console.core.errors import NotFound
from dagy_console.core.permissions import Permission


def visible_to(actor: Actor, permission: Permission = Permission.NOTIFICATIONS_READ) -> QuerySet[Alert]:
    """Every alert for the platform's staff; for others those of the organizations in which they have the permission.

    Raises PermissionDenied.
    """
    return actor.scoped(Alert.objects.select_related("rule"), permission)


def firing(actor: Actor) -> QuerySet[Alert]:
    """What fires now, newest first; what nobody looks after before the rest. Raises PermissionDenied."""
    rows = visible_to(actor).filter(status=AlertStatus.FIRING)
    return rows.order_by(F("acknowledged_at").asc(nulls_first=True), "-since", "-id")


def get_alert(actor: Actor, alert_id: uuid.UUID, permission: Permission = Permission.NOTIFICATIONS_READ) -> Alert:
    """Raises PermissionDenied, NotFound."""
    alert = visible_to(actor, permission).filter(pk=alert_id).first()
    if alert is None:
        raise NotFound("There is no such alert, or it is not yours.")
    return alert


def deliveries_of(alert: Alert) -> QuerySet[Delivery]:
    """What was told of it, oldest first, each attempt with it."""
    subjects = [f"alert:{alert.pk}", *([f"storm:{alert.storm_id}"] if alert.storm_id else [])]
    rows = Delivery.objects.filter(subject__in=subjects).select_related("channel")
    return rows.prefetch_related("tries").order_by("number")

"""What people do with an alert: look after it, and end it by hand."""

import uuid

from django.db import transaction
from django.utils import timezone

from dagy_console.alerts import storms, telling
from dagy_console.alerts.firings import selectors
from dagy_console.alerts.messages import Event
from dagy_console.alerts.models import Alert, AlertStatus
from dagy_console.audit.actions import Action
from dagy_console.audit.recorder import record
from dagy_console.core.actors import Actor
from dagy_console.core.errors import Conflict
from dagy_console.core.permissions import Permission


@transaction.atomic
def acknowledge(*, actor: Actor, alert_id: uuid.UUID) -> Alert:
    """It is told no more until it clears. Raises PermissionDenied, NotFound, Conflict (it does not fire, or somebody
    looks after it already)."""
    alert = _locked(actor, alert_id)
    if alert.acknowledged_at:
        raise Conflict(f"{alert.acknowledged_by} looks after it already.")
    now = timezone.now()
    alert.acknowledged_at, alert.acknowledged_by = now, actor.email
    alert.save()
    if alert.storm:
        storms.acknowledge(alert.rule, alert.storm, by=actor.email, now=now)
    else:
        telling.tell(alert.rule, alert, Event.ACKNOWLEDGED, now)
    _record(Action.ALERT_ACKNOWLEDGED, alert, actor=actor)
    return alert


@transaction.atomic
def unacknowledge(*, actor: Actor, alert_id: uuid.UUID) -> Alert:
    """Nobody looks after it any more: it is told again, to its channels and whoever is on call now. Raises
    PermissionDenied, NotFound, Conflict (it does not fire, or nobody looks after it)."""
    alert = _locked(actor, alert_id)
    if not alert.acknowledged_at:
        raise Conflict("Nobody looks after it.")
    now = timezone.now()
    alert.acknowledged_at, alert.acknowledged_by = None, ""
    if alert.storm:
        storms.unacknowledge(alert.rule, alert.storm, now=now)
    elif not alert.is_silenced:
        telling.tell(alert.rule, alert, Event.TRIGGERED, now)
    alert.save()
    _record(Action.ALERT_UNACKNOWLEDGED, alert, actor=actor)
    return alert


@transaction.atomic
def resolve(*, actor: Actor, alert_id: uuid.UUID) -> Alert:
    """End it by hand; where its condition still holds, the next check begins another one. Raises PermissionDenied,
    NotFound, Conflict (it does not fire)."""
    alert = _locked(actor, alert_id)
    now = timezone.now()
    alert.status, alert.resolved_at, alert.resolved_by = AlertStatus.RESOLVED, now, actor.email
    telling.tell(alert.rule, alert, Event.RESOLVED, now)
    alert.save()
    storms.go_on(alert.rule, now)
    _record(Action.ALERT_RESOLVED, alert, actor=actor)
    return alert


def _locked(actor: Actor, alert_id: uuid.UUID) -> Alert:
    """The rule's row is what a check locks."""
    known = selectors.get_alert(actor, alert_id, Permission.NOTIFICATIONS_WRITE)
    type(known.rule).objects.select_for_update(no_key=True).get(pk=known.rule_id)
    alert = Alert.objects.select_related("rule", "storm").get(pk=known.pk)
    if alert.status != AlertStatus.FIRING:
        raise Conflict(f"It does not fire: it is {alert.status}.")
    return alert


def _record(action: Action, alert: Alert, *, actor: Actor) -> None:
    record(
        action,
        actor=actor,
        resource_type="alert",
        resource_id=str(alert.pk),
        resource_name=f"{alert.rule.name} {alert.label}".strip(),
        org_id=alert.organization_id or "",
        after={"status": str(alert.status), "value": alert.value},
    )

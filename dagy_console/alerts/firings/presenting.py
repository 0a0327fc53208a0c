"""Alerts as JSON and on pages."""

from typing import Any
from urllib.parse import urlencode

from django.urls import reverse

from dagy_console.alerts.deliveries.presenting import delivery_out
from dagy_console.alerts.models import Alert, AlertStatus, Delivery
from dagy_console.alerts.telling import condition, figure, said
from dagy_console.core.actors import Actor
from dagy_console.core.times import to_rfc3339
from dagy_console.core.visible import visible
from dagy_console.listing.language import Query


def alert_out(alert: Alert, actor: Actor, deliveries: list[Delivery] | None = None) -> dict[str, Any]:
    def moment(at: Any) -> str | None:
        return to_rfc3339(at) if at else None

    return {
        "id": str(alert.pk),
        "rule_id": str(alert.rule_id),
        "rule": alert.rule.name,
        "org_id": alert.organization_id,
        "severity": alert.rule.severity,
        "status": alert.status,
        "dimensions": alert.dimensions,
        "value": alert.value,
        "peak": alert.peak,
        "since": to_rfc3339(alert.since),
        "fired_at": moment(alert.fired_at),
        "resolved_at": moment(alert.resolved_at),
        "resolved_by": alert.resolved_by or None,
        "acknowledged_at": moment(alert.acknowledged_at),
        "acknowledged_by": alert.acknowledged_by or None,
        "silence_id": str(alert.silence_id) if alert.silence_id else None,
        "is_silenced": alert.is_silenced,
        "is_missed": alert.is_missed,
        "deliveries": None if deliveries is None else [delivery_out(one, actor) for one in deliveries],
    }


def alert_row(alert: Alert, query: Query | None = None) -> dict[str, Any]:
    return {
        "url": reverse("alerts:alert", args=[alert.pk]),
        "pk": alert.pk,
        "name": visible(alert.rule.name),
        "rule_url": reverse("rules:rule", args=[alert.rule_id]),
        "label": visible(alert.label),
        "said": f"{said(alert.rule, alert)}, {condition(alert.rule)}",
        "peak": figure(alert.rule, alert.peak),
        "severity": alert.rule.severity,
        "status": alert.status,
        "is_firing": alert.status == AlertStatus.FIRING,
        "org_id": alert.organization_id,
        "since": alert.since,
        "fired_at": alert.fired_at,
        "resolved_at": alert.resolved_at,
        "resolved_by": visible(alert.resolved_by),
        "acknowledged_at": alert.acknowledged_at,
        "acknowledged_by": visible(alert.acknowledged_by),
        "is_silenced": alert.is_silenced,
        "is_missed": alert.is_missed,
        "is_of_storm": alert.storm_id is not None,
        "is_flapping": alert.is_flapping and alert.status == AlertStatus.FIRING,
        "silence_url": reverse("silences:silence", args=[alert.silence_id]) if alert.silence_id else "",
        "silence_new_url": f"{reverse('silences:new')}?{urlencode({'alert': alert.pk})}",
    }

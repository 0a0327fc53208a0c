"""Figures of alerts for Prometheus: what fires, and whether those who watch and tell are late."""

from django.db.models import Count

from dagy_console.alerts import heartbeat, outbox
from dagy_console.alerts.models import Alert, AlertStatus, Delivery, DeliveryStatus, Rule, Severity
from dagy_console.core.metrics import Gauge
from dagy_console.core.times import seconds_since

_WAITING = Delivery.objects.filter(status=DeliveryStatus.WAITING)
_ENABLED = Rule.objects.filter(enabled=True)


def gauges() -> list[Gauge]:
    return [
        Gauge("dagy_alert_round_age_seconds", "Since rules were checked last.", _round_age),
        Gauge("dagy_alert_round_seconds", "How long the last round of checks took.", lambda: heartbeat.load().seconds),
        Gauge("dagy_alert_rules", "Rules that are enabled.", lambda: _ENABLED.all().count()),
        Gauge("dagy_alert_rules_failing", "Rules that can't be checked.", heartbeat.failing_rules),
        Gauge("dagy_alerts_firing", "Alerts that fire.", _firing, label="severity"),
        Gauge("dagy_notifications_waiting", "Messages that wait to be sent.", lambda: _WAITING.all().count()),
        Gauge("dagy_notifications_lag_seconds", "Age of the oldest message that waits; 0: none does.", outbox.lag),
        Gauge("dagy_notifications_dead", "Messages that were given up in the last day.", outbox.given_up),
        Gauge("dagy_channels_failing", "Channels whose last message was not taken.", outbox.failing_channels),
    ]


def _round_age() -> float | None:
    return seconds_since(heartbeat.load().ended_at)


def _firing() -> dict[str, int]:
    rows = Alert.objects.filter(status=AlertStatus.FIRING).values_list("rule__severity")
    return dict.fromkeys(Severity.values, 0) | dict(rows.annotate(Count("pk")).order_by())

"""Many alerts of one rule at once are one message that says how many; each of them is shown all the same."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db.models import QuerySet

from dagy_console.alerts import telling
from dagy_console.alerts.messages import Event
from dagy_console.alerts.models import Alert, AlertStatus, Rule, Storm

# So many alerts of a rule are told one by one, within so long; what comes then is a storm.
MOST_ALONE, WITHIN = 5, timedelta(minutes=5)


def tell_each_or_all(rule: Rule, alerts: list[Alert], now: datetime) -> None:
    """Of alerts that are to be told now; they are to be saved behind it."""
    if not alerts:
        return
    storm = rule.storms.filter(closed_at=None).first()
    alone = _firing_of(rule).filter(storm=None, told__gt=0, notified_at__gt=now - WITHIN)
    alone = alone.exclude(pk__in=[alert.pk for alert in alerts])
    if storm is None and alone.count() + len(alerts) <= MOST_ALONE:
        for alert in alerts:
            telling.tell(rule, alert, Event.TRIGGERED, now, after=alert.silence)
        return
    storm = storm or Storm.objects.create(rule=rule, organization_id=rule.organization_id, opened_at=now)
    for alert in alerts:
        alert.storm, alert.told, alert.notified_at = storm, alert.told + 1, now
    Alert.objects.bulk_update(alerts, ["storm", "told", "notified_at"])
    firing = list(_heard(storm))
    # It is told again where it is twice as large as was told, or what was silenced is not any more.
    if len(firing) >= 2 * storm.told_count or any(alert.silence_id for alert in alerts):
        telling.tell_storm(rule, storm, firing, Event.TRIGGERED, now)
        storm.save()


def is_due(rule: Rule, storm: Storm | None, alerts: Iterable[Alert], now: datetime) -> bool:
    """Whether it is to be told again, or to the next."""
    if storm is None or not _waits(storm, alerts):
        return False
    return _is_repeat_due(rule, storm, now) or _is_step_due(rule, storm, now)


def go_on(rule: Rule, now: datetime) -> None:
    """Behind what has become of its alerts: it is over with the last of them, or is told again, or to the next."""
    storm = rule.storms.filter(closed_at=None).first()
    if storm is None:
        return
    firing = list(_heard(storm))
    if not _firing(storm).exists():
        storm.closed_at = now
        telling.tell_storm(rule, storm, firing, Event.RESOLVED, now)
    elif _waits(storm, firing) and _is_step_due(rule, storm, now):
        telling.escalate_storm(rule, storm, firing, now)
    elif _waits(storm, firing) and _is_repeat_due(rule, storm, now):
        telling.tell_storm(rule, storm, firing, Event.TRIGGERED, now)
    storm.save()


def acknowledge(rule: Rule, storm: Storm, *, by: str, now: datetime) -> None:
    """All of it: nobody looks after a storm alert by alert."""
    firing = _firing(storm).filter(acknowledged_at=None)
    firing.update(acknowledged_at=now, acknowledged_by=by)
    telling.tell_storm(rule, storm, list(_firing(storm)), Event.ACKNOWLEDGED, now)
    storm.save()


def unacknowledge(rule: Rule, storm: Storm, *, now: datetime) -> None:
    """All of it, likewise."""
    _firing(storm).update(acknowledged_at=None, acknowledged_by="")
    firing = list(_heard(storm))
    if firing:
        telling.tell_storm(rule, storm, firing, Event.TRIGGERED, now)
    storm.save()


def _firing(storm: Storm) -> QuerySet[Alert]:
    return _firing_of(storm.rule).filter(storm=storm).order_by("-value", "label")


def _heard(storm: Storm) -> QuerySet[Alert]:
    """Those of them that nobody has silenced."""
    return _firing(storm).filter(is_silenced=False)


def _firing_of(rule: Rule) -> QuerySet[Alert]:
    return rule.alerts.filter(status=AlertStatus.FIRING)


def _waits(storm: Storm, alerts: Iterable[Alert]) -> bool:
    """Whether something of it fires that nobody looks after, nor has silenced."""
    return any(
        alert.storm_id == storm.pk
        and alert.status == AlertStatus.FIRING
        and not alert.acknowledged_at
        and not alert.is_silenced
        for alert in alerts
    )


def _is_repeat_due(rule: Rule, storm: Storm, now: datetime) -> bool:
    return telling.is_repeat_due(rule, storm.notified_at or storm.opened_at, now)


def _is_step_due(rule: Rule, storm: Storm, now: datetime) -> bool:
    return telling.is_step_due(rule, storm.escalated, storm.opened_at, now)

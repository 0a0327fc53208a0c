"""Checking rules: `ok → pending → firing → resolved`, and what is told at each step.

A check locks its rule, so that two beats do no harm: what one checks, the other passes by. The state and the messages
about it are written in one transaction. A rule whose check fails says so, keeps its alerts as they are and stops no
other.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.conf import settings
from django.db import DatabaseError, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from dagy_console.alerts import measures, outbox
from dagy_console.alerts.messages import Event, Message
from dagy_console.alerts.models import OPEN, Alert, AlertStatus, Op, Rule, Severity
from dagy_console.core.database import TookTooLong, time_limit
from dagy_console.core.errors import ConsoleError
from dagy_console.core.times import to_rfc3339
from dagy_console.core.words import counted, duration, number

log = structlog.get_logger(__name__)
CHECK_SECONDS, QUERY_SECONDS = 10, 2
# Of a value that was not there in the window before.
FROM_NOTHING = 1.0


@dataclass(frozen=True, slots=True)
class Found:
    """What a check found for one value of the dimensions."""

    dimensions: dict[str, str]
    value: float
    is_breached: bool

    @property
    def label(self) -> str:
        return " ".join(f"{key}:{value or 'none'}" for key, value in self.dimensions.items())


def check_due() -> int:
    """Check the rules whose turn it is; how many."""
    before = timezone.now() - timedelta(seconds=CHECK_SECONDS)
    due = list(_due(before).order_by("checked_at").values_list("pk", flat=True))
    return sum(_check(rule_id, before) for rule_id in due)


def _due(before: datetime) -> QuerySet[Rule]:
    return Rule.objects.filter(Q(checked_at=None) | Q(checked_at__lte=before), enabled=True)


@transaction.atomic
def _check(rule_id: Any, before: datetime) -> bool:
    rule = _due(before).select_for_update(skip_locked=True, no_key=True).filter(pk=rule_id).first()
    if rule is None:
        return False
    now = timezone.now()
    problem = ""
    try:
        with transaction.atomic(), time_limit(QUERY_SECONDS):
            found = list(evaluate(rule, now))
    except TookTooLong:
        problem = f"Its query takes longer than {QUERY_SECONDS} s: narrow it, or its window."
    except (ConsoleError, DatabaseError) as error:
        problem = error.detail if isinstance(error, ConsoleError) else "The database refused its query."
        log.warning("alerts.check_failed", rule=str(rule.pk), problem=problem)
    else:
        _settle(rule, found, now)
    Rule.objects.filter(pk=rule.pk).update(checked_at=now, problem=problem)
    return True


def evaluate(rule: Rule, now: datetime) -> Iterator[Found]:
    """What the rule's measure is at `now`, for each value of its dimensions. Raises ConsoleError."""
    measure = measures.get(rule.measure)
    query, window = measure.parse(rule.query), timedelta(seconds=rule.window_seconds)
    asked: dict[str, Any] = {"org_id": rule.org_id, "group_by": rule.group_by}
    values = measure.values(query, start=now - window, end=now, **asked)
    earlier = measure.values(query, start=now - 2 * window, end=now - window, **asked) if rule.op == Op.CHANGE else {}
    for key, value in values.items():
        dimensions = dict(zip(rule.group_by, key, strict=True))
        told = value / (earlier.get(key) or FROM_NOTHING) if rule.op == Op.CHANGE else value
        yield Found(dimensions, told, told < rule.value if rule.op == Op.BELOW else told > rule.value)


def _settle(rule: Rule, found: list[Found], now: datetime) -> None:
    """Bring the rule's alerts to what was found."""
    alerts = {alert.label: alert for alert in rule.alerts.filter(status__in=OPEN)}
    breached = {one.label: one for one in found if one.is_breached}
    quiet = {one.label: one.value for one in found if not one.is_breached}
    for label, one in breached.items():
        alert = alerts.get(label) or _begun(rule, one, now)
        alert.value, alert.peak = one.value, max(alert.peak, one.value)
        _go_on(rule, alert, now)
        alert.save()
    for label in alerts.keys() - breached.keys():
        _clear(rule, alerts[label], quiet.get(label, 0.0), now)


def _begun(rule: Rule, found: Found, now: datetime) -> Alert:
    return Alert(
        rule=rule,
        organization_id=rule.organization_id,
        dimensions=found.dimensions,
        label=found.label,
        value=found.value,
        peak=found.value,
        since=now,
    )


def _go_on(rule: Rule, alert: Alert, now: datetime) -> None:
    if alert.status == AlertStatus.PENDING and now - alert.since >= timedelta(seconds=rule.for_seconds):
        alert.status, alert.fired_at = AlertStatus.FIRING, now
        tell(rule, alert, Event.TRIGGERED, now)
    elif alert.status == AlertStatus.FIRING and _is_repeat_due(rule, alert, now):
        tell(rule, alert, Event.TRIGGERED, now)


def _is_repeat_due(rule: Rule, alert: Alert, now: datetime) -> bool:
    """An acknowledgement holds until it clears."""
    if not rule.repeat_seconds or alert.acknowledged_at or alert.notified_at is None:
        return False
    return now - alert.notified_at >= timedelta(seconds=rule.repeat_seconds)


def _clear(rule: Rule, alert: Alert, value: float, now: datetime) -> None:
    if alert.status == AlertStatus.PENDING:
        alert.delete()
        return
    alert.value, alert.status, alert.resolved_at = value, AlertStatus.RESOLVED, now
    tell(rule, alert, Event.RESOLVED, now)
    alert.save()


def end_all(rule: Rule, *, by: str) -> None:
    """In a transaction that has locked the rule: it is watched no more, and nothing of it may stay open elsewhere."""
    now = timezone.now()
    for alert in rule.alerts.filter(status__in=OPEN):
        alert.resolved_by = by
        _clear(rule, alert, alert.value, now)


def tell(rule: Rule, alert: Alert, event: Event, now: datetime) -> None:
    """Write it into the outbox, for each of the rule's channels; the alert is to be saved behind it."""
    if event is Event.TRIGGERED:
        alert.told += 1
        alert.notified_at = now
    key, message = f"{alert.pk}:{event}:{alert.told}", _message(rule, alert, event, now)
    for channel in rule.channels.all():
        outbox.post(channel, message, key=key)


def _message(rule: Rule, alert: Alert, event: Event, now: datetime) -> Message:
    where = f" · {alert.label}" if alert.label else ""
    return Message(
        event=event,
        severity=Severity(rule.severity),
        subject=f"alert:{alert.pk}",
        title=f"{rule.name}{where}",
        text=_sentence(rule, alert, event, now),
        at=to_rfc3339(now),
        link=f"{settings.BASE_URL}/console/alerts/{alert.pk}/",
        org_id=rule.org_id,
        facts={"since": to_rfc3339(alert.since), "most": number(round(alert.peak)), **alert.dimensions},
    )


def _sentence(rule: Rule, alert: Alert, event: Event, now: datetime) -> str:
    if event is Event.RESOLVED:
        by = f" by {alert.resolved_by}" if alert.resolved_by else ""
        return f"Resolved{by} after {duration(now - alert.since)}."
    if event is Event.ACKNOWLEDGED:
        return f"{alert.acknowledged_by} looks after it."
    return f"{said(rule, alert.value)} in the last {duration(rule.window_seconds)}, {condition(rule)}."


def said(rule: Rule, value: float) -> str:
    """ "214 traces", or "3.5 times as many traces"."""
    unit = measures.get(rule.measure).unit
    if rule.op == Op.CHANGE:
        return f"{value:.1f} times as many {counted(2, unit).partition(' ')[2]} as before"
    return counted(round(value), unit)


def condition(rule: Rule) -> str:
    limit = f"{rule.value:g}"
    words = {Op.ABOVE: f"above {limit}", Op.BELOW: f"below {limit}", Op.CHANGE: f"above {limit} times"}
    return words[Op(rule.op)]

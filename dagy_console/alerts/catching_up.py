"""What fired and was over while nobody checked.

The first round after an outage finds what holds then. What held only meanwhile is looked for in what is kept
(`history`), is written down as alerts that are over, and is told by one message a channel, however many there are.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from math import isnan

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from dagy_console.alerts import heartbeat, history, hush, measures, outbox, telling
from dagy_console.alerts.history import Firing
from dagy_console.alerts.lifecycle import NO_DATA, label_of
from dagy_console.alerts.messages import Event, Message
from dagy_console.alerts.models import Alert, AlertStatus, Channel, CheckerState, Rule, Severity
from dagy_console.core.errors import Invalid
from dagy_console.core.times import to_rfc3339, to_second
from dagy_console.core.words import counted, duration, number

log = structlog.get_logger(__name__)
# What was written during the outage may be known later than that; and nobody waits for ever for what is not.
PATIENCE, LONGEST = timedelta(minutes=15), timedelta(days=history.DAYS)
NAMED = 10


def catch_up() -> int:
    """Find what was missed, if rules were not checked for a while; how many alerts that is. What was found before a
    worker died is found once."""
    state = heartbeat.load()
    if state.missed_from is None or state.away_until is None:
        return 0
    back = state.away_until
    gone = max(state.missed_from, back - LONGEST)
    rules = list(Rule.objects.filter(enabled=True, created_at__lt=gone).order_by("pk"))
    if _is_unknown(rules) and timezone.now() - back < PATIENCE:
        return 0
    found = sum(_write_down(rule, gone, back) for rule in rules if measures.get(rule.measure).has_history)
    _tell(gone, back)
    CheckerState.objects.filter(pk=1, away_until=back).update(missed_from=None)
    return found


def _is_unknown(rules: Sequence[Rule]) -> bool:
    """Whether something that they count may not all have been found yet."""
    return any(measures.get(name).stale() for name in {rule.measure for rule in rules})


def _write_down(rule: Rule, gone: datetime, back: datetime) -> int:
    try:
        missed = [firing for firing in history.firings(rule, gone, back) if firing.until]
    except Invalid as error:
        log.warning("alerts.not_caught_up", rule=str(rule.pk), problem=error.detail)
        return 0
    if not missed:
        return 0
    with transaction.atomic():
        held = Rule.objects.select_for_update(no_key=True).filter(pk=rule.pk).first()
        alerts = [_alert(held, firing) for firing in missed if not _is_known(held, firing)] if held else []
        Alert.objects.bulk_create(alerts)
    return len(alerts)


def _is_known(rule: Rule, firing: Firing) -> bool:
    """Whether there is an alert of that time: it fired before, or was found by who died over it."""
    same = Alert.objects.filter(rule=rule, label=label_of(_dimensions(firing)), since__lte=firing.until)
    return same.filter(Q(resolved_at=None) | Q(resolved_at__gte=firing.since)).exists()


def _dimensions(firing: Firing) -> dict[str, str]:
    return NO_DATA if isnan(firing.peak) else firing.dimensions


def _alert(rule: Rule, firing: Firing) -> Alert:
    peak = 0.0 if isnan(firing.peak) else firing.peak
    dimensions = _dimensions(firing)
    alert = Alert(
        rule=rule,
        organization_id=rule.organization_id,
        dimensions=dimensions,
        label=label_of(dimensions),
        status=AlertStatus.RESOLVED,
        value=peak,
        peak=peak,
        since=firing.since,
        fired_at=firing.since,
        resolved_at=firing.until,
        is_missed=True,
    )
    alert.silence = hush.at(firing.since).over(rule, alert)
    return alert


@transaction.atomic
def _tell(gone: datetime, back: datetime) -> None:
    """Who would have been told: all of it at once."""
    rows = Alert.objects.filter(is_missed=True, told=0, resolved_at__gte=gone, silence=None)
    alerts = list(rows.select_for_update(of=("self",)).select_related("rule").order_by("fired_at", "pk"))
    by_channel: dict[Channel, list[Alert]] = defaultdict(list)
    for alert in alerts:
        for channel in telling.told_to(alert.rule, 0, timezone.now()):
            by_channel[channel].append(alert)
    for channel, missed in by_channel.items():
        outbox.post(channel, _message(channel, missed, gone, back), key=f"missed:{to_rfc3339(back)}")
    Alert.objects.filter(pk__in=[alert.pk for alert in alerts]).update(told=1, notified_at=timezone.now())


def _message(channel: Channel, missed: list[Alert], gone: datetime, back: datetime) -> Message:
    severities = {alert.rule.severity for alert in missed}
    worst = max(severities, key=Severity.values.index)
    lines = "\n".join(_line(alert) for alert in missed[:NAMED])
    more = f"\nand {number(len(missed) - NAMED)} more" if len(missed) > NAMED else ""
    fired = (
        f"{counted(len(missed), 'alert')} would have fired meanwhile, and {'is' if len(missed) == 1 else 'are'} over"
    )
    return Message(
        event=Event.MISSED,
        severity=Severity(worst),
        subject=f"missed:{to_rfc3339(back)}",
        title=f"Missed: nobody checked rules for {duration(back - gone)}",
        text=f"{fired}.\n{lines}{more}",
        at=to_rfc3339(back),
        link=f"{settings.BASE_URL}/console/alerts/",
        org_id=channel.org_id,
        facts={"from": to_second(gone), "until": to_second(back), "alerts": number(len(missed))},
    )


def _line(alert: Alert) -> str:
    about = f"{alert.rule.name} · {alert.label}" if alert.label else alert.rule.name
    began, over = alert.fired_at or alert.since, alert.resolved_at or alert.since
    return f"{about}: {telling.said(alert.rule, alert)}, {to_second(began)}, for {duration(over - began)}"

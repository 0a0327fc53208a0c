"""What is told of an alert, and in which words; pages say them, too."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Q, QuerySet

from dagy_console.alerts import links, measures, on_call, outbox, saying
from dagy_console.alerts.measures.own import ChannelFailing
from dagy_console.alerts.messages import Event, Message
from dagy_console.alerts.models import QUIET, Alert, Channel, Delivery, Op, Rule, Severity, Silence, Storm
from dagy_console.alerts.search import ALERTS
from dagy_console.core.times import to_rfc3339, to_second
from dagy_console.core.words import counted, duration, number, plural
from dagy_console.listing.language import Term

STORM_NAMED = 10
# The fact of a message that says by which rotations whoever gets it does.
ON_CALL = "on call"


def tell(rule: Rule, alert: Alert, event: Event, now: datetime, *, after: Silence | None = None) -> None:
    """Write it into the outbox, for each of the rule's channels and whoever is on call; the alert is to be saved behind
    it. Who was never told that it fires is not told what became of it. `after`: the silence that kept it quiet until
    now."""
    if event is Event.TRIGGERED:
        alert.told += 1
        alert.notified_at = now
    elif not alert.told or alert.storm_id:
        return
    key, message = f"{alert.pk}:{event}:{alert.told}", _message(rule, alert, event, now, after)
    for channel, rotations in _hears(rule, alert.escalated, message, now).items():
        _post(channel, alert, message, key, rotations)


def tell_storm(rule: Rule, storm: Storm, firing: Sequence[Alert], event: Event, now: datetime) -> None:
    """Once for all of it: `firing` are its alerts that fire, the worst first. It is to be saved behind it."""
    if event is Event.TRIGGERED:
        storm.told, storm.told_count, storm.notified_at = storm.told + 1, len(firing), now
    message = _of_storm(rule, storm, firing, event, now)
    key, worst = f"{storm.pk}:{event}:{storm.told}", firing[0] if firing else None
    for channel, rotations in _hears(rule, storm.escalated, message, now).items():
        _post(channel, worst, message, key, rotations)


def escalate_storm(rule: Rule, storm: Storm, firing: Sequence[Alert], now: datetime) -> None:
    """The next step of it."""
    message = _of_storm(rule, storm, firing, Event.TRIGGERED, now)
    _tell_next(rule, storm, firing[0], message, storm.opened_at, now)


def _of_storm(rule: Rule, storm: Storm, firing: Sequence[Alert], event: Event, now: datetime) -> Message:
    query = ALERTS.query(Term("rule", rule.name), Term("status", "firing"))
    return Message(
        event=event,
        severity=Severity(rule.severity),
        subject=f"storm:{storm.pk}",
        # The same from the first to the last, or mails are no thread.
        title=f"{rule.name} · many at once",
        text=_storm_sentence(rule, storm, firing, event, now),
        at=to_rfc3339(now),
        link=f"{settings.BASE_URL}{query.url}",
        org_id=rule.org_id,
        facts={"since": to_second(storm.opened_at), "alerts": number(len(firing))},
    )


def _storm_sentence(rule: Rule, storm: Storm, firing: Sequence[Alert], event: Event, now: datetime) -> str:
    if event is Event.RESOLVED:
        return f"All are resolved after {duration(now - storm.opened_at)}."
    if event is Event.ACKNOWLEDGED:
        by = next((alert.acknowledged_by for alert in firing if alert.acknowledged_by), "Somebody")
        return f"{by} looks after all {len(firing)}."
    named = "\n".join(f"{alert.label}: {figure(rule, alert.value)}" for alert in firing[:STORM_NAMED])
    more = f"\nand {number(len(firing) - STORM_NAMED)} more" if len(firing) > STORM_NAMED else ""
    return (
        f"{counted(len(firing), 'alert')} {'fires' if len(firing) == 1 else 'fire'}, {condition(rule)}.\n{named}{more}"
    )


def escalate(rule: Rule, alert: Alert, now: datetime) -> None:
    """The next step."""
    _tell_next(rule, alert, alert, _message(rule, alert, Event.TRIGGERED, now, None), alert.fired_at or now, now)


def _tell_next(
    rule: Rule, about: Alert | Storm, alert: Alert, message: Message, since: datetime, now: datetime
) -> None:
    """Those are told who were not yet; from then on they are told what becomes of it, too."""
    about.escalated += 1
    message = replace(message, text=f"{message.text} Nobody has acknowledged it for {duration(now - since)}.")
    # By what was written, not by whom it would be told: who is on call now may be another than was then.
    told = set(_told_of(message).values_list("channel", flat=True))
    for channel, rotations in told_to(rule, about.escalated, now).items():
        if channel.pk not in told:
            _post(channel, alert, message, f"{about.pk}:step:{about.escalated}", rotations)


def _post(channel: Channel, alert: Alert | None, message: Message, key: str, rotations: str) -> None:
    """`rotations`: those by which it is on call, "" where it is told anyway."""
    act_link = links.link_to(alert, channel) if alert and message.event is Event.TRIGGERED else ""
    facts = message.facts | ({ON_CALL: rotations} if rotations else {})
    outbox.post(channel, replace(message, act_link=act_link, facts=facts), key=key)


def is_repeat_due(rule: Rule, told_at: datetime, now: datetime) -> bool:
    return bool(rule.repeat_seconds) and now - told_at >= timedelta(seconds=rule.repeat_seconds)


def is_step_due(rule: Rule, taken: int, fired_at: datetime, now: datetime) -> bool:
    """Whether there is another step than those that were taken, and its time has come."""
    if taken >= len(rule.escalation):
        return False
    return now - fired_at >= timedelta(seconds=rule.escalation[taken]["after_seconds"])


def told_to(rule: Rule, escalated: int, now: datetime) -> dict[Channel, str]:
    """Whom it is told that it fires: its channels, those of the steps that were taken, and whoever is on call now of
    the rotations of either. Each with the names of the rotations by which it is on call, "" where it is by none."""
    steps = rule.escalation[:escalated]
    on_duty = on_call.on_duty(rule, [one for step in steps for one in step.get("rotation_ids", ())], now)
    return {one: on_duty.get(str(one.pk), "") for one in _channels(rule, steps, Q(pk__in=on_duty))}


def _hears(rule: Rule, escalated: int, message: Message, now: datetime) -> dict[Channel, str]:
    """That it fires is told whoever is on call now; what became of it those who were told, whoever is on call by
    then."""
    if message.event is Event.TRIGGERED:
        return told_to(rule, escalated, now)
    told = Q(pk__in=_told_of(message).values("channel"))
    return dict.fromkeys(_channels(rule, rule.escalation[:escalated], told), "")


def _told_of(message: Message) -> QuerySet[Delivery]:
    return Delivery.objects.filter(subject=message.subject)


def _channels(rule: Rule, steps: Sequence[dict[str, Any]], more: Q) -> list[Channel]:
    """Of the rule, of the steps, and more. That a channel fails goes to the last resort where there are none."""
    of_steps = Q(pk__in=[channel for step in steps for channel in step["channel_ids"]])
    channels = list(dict.fromkeys([*rule.channels.all(), *Channel.objects.filter(of_steps | more)]))
    if channels or rule.measure != ChannelFailing.name:
        return channels
    resort = outbox.last_resort(rule.organization_id)
    return [resort] if resort else []


def _message(rule: Rule, alert: Alert, event: Event, now: datetime, after: Silence | None) -> Message:
    where = f" · {alert.label}" if alert.label else ""
    return Message(
        event=event,
        severity=Severity(rule.severity),
        subject=f"alert:{alert.pk}",
        title=f"{rule.name}{where}",
        text=_sentence(rule, alert, event, now) + (_no_longer(after) if after else ""),
        at=to_rfc3339(now),
        link=f"{settings.BASE_URL}/console/alerts/{alert.pk}/",
        org_id=rule.org_id,
        facts=alert.dimensions
        | {"since": to_second(alert.since), "most": figure(rule, alert.peak)}
        | (saying.details(rule, alert) if event is Event.TRIGGERED else {}),
    )


def _sentence(rule: Rule, alert: Alert, event: Event, now: datetime) -> str:
    if event is Event.RESOLVED:
        by = f" by {alert.resolved_by}" if alert.resolved_by else ""
        return f"Resolved{by} after {duration(now - alert.since)}."
    if event is Event.ACKNOWLEDGED:
        return f"{alert.acknowledged_by} looks after it."
    return f"{said(rule, alert)}, {condition(rule)}.{_flapping(alert) if alert.is_flapping else ''}"


def _flapping(alert: Alert) -> str:
    return f" It flaps: {alert.flaps} times within an hour. It is held open until it was quiet for {duration(QUIET)}."


def _no_longer(silence: Silence) -> str:
    return f" {silence.created_by} had silenced it ({silence.reason}); that is over, and it still fires."


def said(rule: Rule, alert: Alert) -> str:
    """ "214 traces in the last 5 min", "3.5 times as many traces in the last hour as before", "no data in …"."""
    measure = measures.get(rule.measure)
    window = f" in the last {duration(rule.window_seconds)}" if measure.has_window else ""
    if alert.is_of_no_data:
        return f"no data{window}"
    if rule.op != Op.CHANGE:
        return f"{figure(rule, alert.value)}{window}"
    much = f"many {plural(measure.unit)}" if measure.is_count else "much"
    return f"{alert.value:.1f} times as {much}{window} as before"


def figure(rule: Rule, value: float) -> str:
    """ "214 traces", "12 min"; of a change "3.5 times"."""
    return f"{value:.1f} times" if rule.op == Op.CHANGE else measures.get(rule.measure).say(value)


def condition(rule: Rule) -> str:
    """ "above 2", "below 12 min", "above 3 times"."""
    measure = measures.get(rule.measure)
    limit = f"{rule.value:g}" if measure.is_count else measure.say(rule.value)
    words = {Op.ABOVE: f"above {limit}", Op.BELOW: f"below {limit}", Op.CHANGE: f"above {rule.value:g} times"}
    return words[Op(rule.op)]

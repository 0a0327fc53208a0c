"""What is told of an alert, and in which words; pages say them, too."""

from dataclasses import replace
from datetime import datetime

from django.conf import settings

from dagy_console.alerts import links, measures, outbox
from dagy_console.alerts.measures.own import ChannelFailing
from dagy_console.alerts.messages import Event, Message
from dagy_console.alerts.models import Alert, Channel, Op, Rule, Severity, Silence
from dagy_console.core.times import to_rfc3339, to_second
from dagy_console.core.words import duration, plural


def tell(rule: Rule, alert: Alert, event: Event, now: datetime, *, after: Silence | None = None) -> None:
    """Write it into the outbox, for each of the rule's channels; the alert is to be saved behind it. Who was never told
    that it fires is not told what became of it. `after`: the silence that kept it quiet until now."""
    if event is Event.TRIGGERED:
        alert.told += 1
        alert.notified_at = now
    elif not alert.told:
        return
    key, message = f"{alert.pk}:{event}:{alert.told}", _message(rule, alert, event, now, after)
    for channel in told_to(rule, alert):
        _post(channel, alert, message, key)


def escalate(rule: Rule, alert: Alert, now: datetime) -> None:
    """The next step: those are told who were not yet; from then on they are told what becomes of it, too."""
    before = told_to(rule, alert)
    alert.escalated += 1
    waited = f" Nobody has acknowledged it for {duration(now - (alert.fired_at or now))}."
    message = _message(rule, alert, Event.TRIGGERED, now, None)
    for channel in told_to(rule, alert):
        if channel not in before:
            _post(channel, alert, replace(message, text=message.text + waited), f"{alert.pk}:step:{alert.escalated}")


def _post(channel: Channel, alert: Alert, message: Message, key: str) -> None:
    act_link = links.link_to(alert, channel) if message.event is Event.TRIGGERED else ""
    outbox.post(channel, replace(message, act_link=act_link), key=key)


def told_to(rule: Rule, alert: Alert) -> list[Channel]:
    """Its rule's channels, and those of the steps that were taken. That a channel fails goes to the last resort where
    there are none."""
    steps = rule.escalation[: alert.escalated]
    more = Channel.objects.filter(pk__in=[channel for step in steps for channel in step["channel_ids"]])
    channels = list(dict.fromkeys([*rule.channels.all(), *(more if steps else [])]))
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
        facts={"since": to_second(alert.since), "most": figure(rule, alert.peak), **alert.dimensions},
    )


def _sentence(rule: Rule, alert: Alert, event: Event, now: datetime) -> str:
    if event is Event.RESOLVED:
        by = f" by {alert.resolved_by}" if alert.resolved_by else ""
        return f"Resolved{by} after {duration(now - alert.since)}."
    if event is Event.ACKNOWLEDGED:
        return f"{alert.acknowledged_by} looks after it."
    return f"{said(rule, alert)}, {condition(rule)}."


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

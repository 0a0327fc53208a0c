"""Why a rule did or did not tell at some moment: what it was, what that made of its alerts, what became of messages.

All of it is read from what is kept: the rows that are measured, the alerts, the silences, the deliveries, and the
record, which knows the terms that the rule had then.
"""

from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Q, QuerySet
from django.utils import timezone

from dagy_console.alerts import checking, hush, lifecycle, measures
from dagy_console.alerts.measures import Broken
from dagy_console.alerts.models import Alert, Delivery, DeliveryStatus, Rule
from dagy_console.alerts.rules.terms import Terms
from dagy_console.alerts.rules.validating import set_terms
from dagy_console.alerts.telling import ON_CALL, condition, figure
from dagy_console.audit.actions import Action
from dagy_console.audit.models import AuditEntry
from dagy_console.core.times import to_second
from dagy_console.core.words import counted, duration

# Messages of this long before the moment are looked at, and up to a check and a try after it.
BEFORE, AFTER = timedelta(minutes=5), timedelta(minutes=1)
SHOWN = 20


@dataclass(frozen=True, slots=True)
class Reason:
    """`about` is the rule, a value of its dimensions, or a channel; `said` is a sentence."""

    about: str
    said: str


def why(rule: Rule, at: datetime) -> list[Reason]:
    """From what it watched to what its channels answered. Raises Invalid where its query can't be asked."""
    rule = _as_it_was(rule, at)
    alerts = list(_alerts_at(rule, at)[:SHOWN])
    return [*_of_rule(rule, at), *_of_values(rule, at), *_of_alerts(rule, alerts, at), *_of_messages(rule, alerts, at)]


def _as_it_was(rule: Rule, at: datetime) -> Rule:
    """With the terms that its first change behind that moment replaced; as it is where there was none."""
    changes = AuditEntry.objects.filter(resource_type="rule", resource_id=str(rule.pk), action=Action.RULE_CHANGED)
    change = changes.filter(at__gt=at).order_by("at").first()
    if change is None or not change.before:
        return rule
    then = copy(rule)
    known = Terms.__dataclass_fields__.keys() & change.before.keys()
    set_terms(then, Terms(**{name: change.before[name] for name in known}))
    return then


def _of_rule(rule: Rule, at: datetime) -> Iterator[Reason]:
    if at < rule.created_at:
        yield Reason("rule", f"It was made later: {to_second(rule.created_at)}.")
    if at > timezone.now():
        yield Reason("rule", "That is still to come.")
    if not rule.enabled:
        yield Reason("rule", "It was off: nothing is checked then. The record says since when.")
    if not lifecycle.watches(rule, at):
        yield Reason("rule", "It was outside of its hours: what fires goes on, and nothing new begins.")
    if rule.problem:
        yield Reason("rule", f"Its check has a problem: {rule.problem}")
    if rule.updated_at > at >= rule.created_at:
        yield Reason("rule", "It was changed since: this is by the terms that it had then.")


def _of_values(rule: Rule, at: datetime) -> Iterator[Reason]:
    measure = measures.get(rule.measure)
    if not measure.has_history:
        yield Reason("value", "What it was then is not kept: it is what is found at a check.")
        return
    (current,) = measure.values([checking.asked(rule, at)])
    (before,) = measure.values([checking.asked(rule, at - timedelta(seconds=rule.window_seconds))])
    if isinstance(current, Broken) or isinstance(before, Broken):
        yield Reason("value", "It can't be told now what it was then: its query takes too long, or is refused.")
        return
    found = {key: checking.compared(rule, value, before.get(key)) for key, value in current.items()}
    if not found:
        yield Reason("value", "There was nothing to measure.")
    for key, value in sorted(found.items(), key=lambda one: -one[1])[:SHOWN]:
        label = lifecycle.label_of(dict(zip(rule.group_by, key, strict=True)))
        holds = lifecycle.is_breach(rule, value)
        yield Reason(label or "value", f"{figure(rule, value)}: {'' if holds else 'not '}{condition(rule)}.")


def _alerts_at(rule: Rule, at: datetime) -> QuerySet[Alert]:
    then = rule.alerts.filter(since__lte=at).filter(Q(resolved_at=None) | Q(resolved_at__gt=at))
    return then.select_related("silence", "storm").order_by("-since", "label")


def _of_alerts(rule: Rule, alerts: list[Alert], at: datetime) -> Iterator[Reason]:
    if not alerts:
        yield Reason("alert", "None was pending or fired then.")
    quiet = hush.at(at)
    for alert in alerts:
        yield Reason(alert.label or "alert", " ".join(_of_alert(rule, alert, at, quiet)))


def _of_alert(rule: Rule, alert: Alert, at: datetime, quiet: hush.Hush) -> Iterator[str]:
    if alert.fired_at is None or alert.fired_at > at:
        yield f"Pending since {to_second(alert.since)}: it fires where it holds for {duration(rule.for_seconds)}."
        return
    yield f"It fired since {to_second(alert.fired_at)}."
    if alert.is_missed:
        yield "That was found afterwards: nobody checked rules then, and all that was missed was told as one."
    silence = quiet.over(rule, alert)
    if silence:
        yield f"{silence.created_by} had silenced it until {to_second(silence.until)}: {silence.reason}."
    if alert.acknowledged_at and alert.acknowledged_at <= at:
        yield f"{alert.acknowledged_by} had acknowledged it: it is not told again until it clears."
    if alert.storm_id:
        yield "It was one of many, which were told as one."
    if alert.is_flapping:
        yield "It flapped, and was held open."
    if not rule.repeat_seconds:
        yield "It is told once, not again while it fires."
    elif alert.notified_at:
        yield f"It is told again every {duration(rule.repeat_seconds)}; last {to_second(alert.notified_at)}."


def _of_messages(rule: Rule, alerts: list[Alert], at: datetime) -> Iterator[Reason]:
    subjects = [f"alert:{alert.pk}" for alert in alerts] + [f"storm:{one.storm_id}" for one in alerts if one.storm_id]
    rows = Delivery.objects.filter(subject__in=subjects, created_at__gte=at - BEFORE, created_at__lte=at + AFTER)
    found = list(rows.select_related("channel").prefetch_related("tries").order_by("number")[:SHOWN])
    for delivery in found:
        yield Reason(delivery.channel.name, _of_message(delivery))
    if not found:
        span = duration(BEFORE)
        yield Reason("message", f"Nothing was told in the {span} before it, nor in the minute after.")
    if not rule.channels.exists() and not rule.rotations.exists():
        yield Reason("message", "The rule has no channel: what fires is shown here alone.")


def _of_message(delivery: Delivery) -> str:
    event, tries = delivery.message["event"], list(delivery.tries.all())
    rotations = delivery.message["facts"].get(ON_CALL)
    began = f"Told that it is {event}" + (f", on call of {rotations}" if rotations else "")
    tried = counted(len(tries), "try")
    if delivery.status == DeliveryStatus.SENT:
        return f"{began}; taken {to_second(delivery.sent_at or delivery.created_at)}, after {tried}."
    last = tries[-1].status if tries else None
    answered = f"last answer {last}" if last else "no answer"
    state = "given up" if delivery.status == DeliveryStatus.DEAD else "it waits to be tried again"
    return f"{began}; {state} after {tried}, {answered}."

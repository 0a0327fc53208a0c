"""An alert's way: `ok → pending → firing → resolved`. Whoever moves one holds its rule's row; what is told of a step
is written in its transaction."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.utils import timezone

from dagy_console.alerts import hours, storms, telling
from dagy_console.alerts.hush import Hush
from dagy_console.alerts.messages import Event
from dagy_console.alerts.models import FLAPS_WITHIN, OPEN, QUIET, Alert, AlertStatus, NoData, Op, Rule, Storm

# What a check changes of an alert that is open.
_MOVED = ["value", "peak", "quiet_since", "status", "fired_at", "flaps", "is_silenced", "silence"]
_MOVED += ["told", "notified_at", "escalated"]
NO_DATA = {"data": "none"}
_GOES_ON = "What fires is not called resolved meanwhile."


def label_of(dimensions: Mapping[str, str]) -> str:
    """In words: "org:org_123 type:KeyError"."""
    return " ".join(f"{key}:{value or 'none'}" for key, value in dimensions.items())


@dataclass(frozen=True, slots=True)
class Found:
    """What a check found for one value of the dimensions."""

    dimensions: dict[str, str]
    value: float
    is_breached: bool

    @property
    def label(self) -> str:
        return label_of(self.dimensions)


@dataclass(frozen=True, slots=True)
class Seen:
    """All that a check found of a rule. `keeps`: why what was not found is not over, "" where it is; `is_partial`: what
    was found may be more than that, too."""

    found: dict[str, Found] = field(default_factory=dict)
    keeps: str = ""
    is_partial: bool = False

    @property
    def breached(self) -> dict[str, Found]:
        return {label: one for label, one in self.found.items() if one.is_breached}


def is_breach(rule: Rule, value: float) -> bool:
    return value < rule.value if rule.op == Op.BELOW else value > rule.value


def seen(rule: Rule, found: Iterable[Found], *, no_data: bool, stale: str) -> Seen:
    """`no_data`: nothing was found, and that is not 0. `stale`: why what is there may not all have been found."""
    by_label = {one.label: one for one in found}
    if no_data and rule.no_data == NoData.ALERT and not rule.group_by:
        nothing = Found(NO_DATA, 0.0, True)
        return Seen({nothing.label: nothing})
    if stale:
        # Too few is no news while some are missing.
        return Seen({} if rule.op == Op.BELOW else by_label, keeps=f"{stale} {_GOES_ON}", is_partial=True)
    without_data = rule.no_data == NoData.KEEP and (no_data or bool(rule.group_by))
    return Seen(by_label, keeps=f"There is no data. {_GOES_ON}" if without_data else "")


def has_step(rule: Rule, what: Seen, alerts: dict[str, Alert], now: datetime, hush: Hush, storm: Storm | None) -> bool:
    """Whether anything moves, or is to be told, or not any more."""
    breached = what.breached
    new = breached.keys() - alerts.keys()
    if new and watches(rule, now):
        return True
    if _over(what, alerts) or storms.is_due(rule, storm, alerts.values(), now):
        return True
    if any(alert.quiet_since and label in breached for label, alert in alerts.items()):
        return True
    return any(_is_to_move(rule, alert, now, hush) for alert in alerts.values())


def _is_to_move(rule: Rule, alert: Alert, now: datetime, hush: Hush) -> bool:
    if _is_to_fire(rule, alert, now):
        return True
    if alert.status != AlertStatus.FIRING:
        return False
    is_silenced = hush.over(rule, alert) is not None
    due = _is_repeat_due(rule, alert, now) or _is_step_due(rule, alert, now)
    return is_silenced != alert.is_silenced or (not is_silenced and due)


def settle(rule: Rule, what: Seen, now: datetime, hush: Hush) -> None:
    """Bring the rule's alerts to what was found."""
    alerts = {alert.label: alert for alert in rule.alerts.filter(status__in=OPEN)}
    to_tell: list[Alert] = []
    breached: list[Alert] = []
    for label, one in what.breached.items():
        if label not in alerts and not watches(rule, now):
            continue
        alert = alerts.get(label) or _begun(rule, one, now)
        alert.value, alert.peak, alert.quiet_since = one.value, worse(rule, alert.peak, one.value), None
        if _goes_on(rule, alert, now, hush):
            to_tell.append(alert)
        breached.append(alert)
    Alert.objects.bulk_create([alert for alert in breached if alert.label not in alerts])
    Alert.objects.bulk_update([alert for alert in breached if alert.label in alerts], _MOVED, batch_size=500)
    storms.tell_each_or_all(rule, to_tell, now)
    Alert.objects.bulk_update(to_tell, ["told", "notified_at", "storm"])
    for label in _over(what, alerts):
        if _is_held(alerts[label], now):
            alerts[label].save(update_fields=["quiet_since"])
        else:
            _clear(rule, alerts[label], what.found[label].value if label in what.found else 0.0, now)
    storms.go_on(rule, now)


def values_moved(rule: Rule, what: Seen, alerts: dict[str, Alert]) -> list[Alert]:
    """Alerts that go on with another value, brought to it, to be saved."""
    moved = []
    for label, one in what.breached.items():
        alert = alerts.get(label)
        if alert and alert.value != one.value:
            alert.value, alert.peak = one.value, worse(rule, alert.peak, one.value)
            moved.append(alert)
    return moved


def watches(rule: Rule, now: datetime) -> bool:
    return rule.hours is None or hours.parse(rule.hours).contain(now)


def _over(what: Seen, alerts: dict[str, Alert]) -> list[str]:
    """Those that are not breached any more, as far as that is known."""
    return [label for label in alerts if label not in what.breached and not _is_unknown(what, label)]


def kept_open(what: Seen, alerts: dict[str, Alert]) -> str:
    """Why alerts stay open of which nothing was found, where there are any."""
    return what.keeps if any(_is_unknown(what, label) for label in alerts) else ""


def _is_unknown(what: Seen, label: str) -> bool:
    return bool(what.keeps) and label not in what.breached and (what.is_partial or label not in what.found)


def worse(rule: Rule, peak: float, value: float) -> float:
    return min(peak, value) if rule.op == Op.BELOW else max(peak, value)


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


def _goes_on(rule: Rule, alert: Alert, now: datetime, hush: Hush) -> bool:
    """Whether it is to be told that it fires."""
    fires = _is_to_fire(rule, alert, now)
    if fires:
        alert.status, alert.fired_at = AlertStatus.FIRING, now
        alert.flaps = rule.alerts.filter(label=alert.label, fired_at__gt=now - FLAPS_WITHIN).count() + 1
    if alert.status != AlertStatus.FIRING:
        return False
    silence, was_silenced = hush.over(rule, alert), alert.is_silenced
    alert.is_silenced = silence is not None
    if silence:
        alert.silence = silence
        return False
    if _is_step_due(rule, alert, now):
        telling.escalate(rule, alert, now)
        return False
    if not fires and not was_silenced:
        if _is_repeat_due(rule, alert, now):
            telling.tell(rule, alert, Event.TRIGGERED, now)
        return False
    return True


def _is_to_fire(rule: Rule, alert: Alert, now: datetime) -> bool:
    return alert.status == AlertStatus.PENDING and now - alert.since >= timedelta(seconds=rule.for_seconds)


def _is_repeat_due(rule: Rule, alert: Alert, now: datetime) -> bool:
    """An acknowledgement holds until it clears."""
    if alert.status != AlertStatus.FIRING or alert.acknowledged_at or alert.storm_id or alert.notified_at is None:
        return False
    return telling.is_repeat_due(rule, alert.notified_at, now)


def _is_held(alert: Alert, now: datetime) -> bool:
    """It flaps: over for a moment is not over."""
    if alert.status != AlertStatus.FIRING or not alert.is_flapping:
        return False
    alert.quiet_since = alert.quiet_since or now
    return now - alert.quiet_since < QUIET


def _is_step_due(rule: Rule, alert: Alert, now: datetime) -> bool:
    """Nobody has acknowledged it for so long that the next ones are told."""
    if not alert.told or alert.acknowledged_at or alert.fired_at is None or alert.storm_id:
        return False
    return telling.is_step_due(rule, alert.escalated, alert.fired_at, now)


def _clear(rule: Rule, alert: Alert, value: float, now: datetime) -> None:
    if alert.status == AlertStatus.PENDING:
        alert.delete()
        return
    alert.value, alert.status, alert.resolved_at, alert.is_silenced = value, AlertStatus.RESOLVED, now, False
    telling.tell(rule, alert, Event.RESOLVED, now)
    alert.save()


def end_all(rule: Rule, *, by: str) -> None:
    """It is watched no more, and nothing of it may stay open elsewhere."""
    now = timezone.now()
    for alert in rule.alerts.filter(status__in=OPEN):
        alert.resolved_by = by
        _clear(rule, alert, alert.value, now)
    storms.go_on(rule, now)

"""Whether rules are checked: each round says so."""

from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from dagy_console.alerts.models import CheckerState, Rule
from dagy_console.core.health import Status
from dagy_console.core.words import counted, duration

LATE_SECONDS = 60


def load() -> CheckerState:
    return CheckerState.objects.get_or_create(pk=1)[0]


@transaction.atomic
def begin(now: datetime) -> None:
    """A round begins; how long none did, where that was long. A worker that hangs while it says so keeps no other from
    its round."""
    load()
    state = _unless_held()
    if state is None:
        return
    if state.began_at and now - state.began_at > timedelta(seconds=LATE_SECONDS):
        state.away_seconds, state.away_until = (now - state.began_at).total_seconds(), now
        state.missed_from = state.missed_from or state.began_at
    state.began_at = max(now, state.began_at or now)
    state.save()


@transaction.atomic
def end(now: datetime, *, rules: int, seconds: float) -> None:
    """The round that began `now` is over: it checked so many rules, and took so long."""
    state = _unless_held()
    if state is None:
        return
    state.ended_at = now + timedelta(seconds=seconds)
    if rules:
        state.rules, state.seconds = rules, seconds
    state.save()


def _unless_held() -> CheckerState | None:
    return CheckerState.objects.select_for_update(skip_locked=True).filter(pk=1).first()


def check() -> tuple[Status, str]:
    """For /health."""
    state = load()
    rules = Rule.objects.filter(enabled=True)
    if state.ended_at is None:
        return (Status.DEGRADED, "rules were never checked: beat and a worker do.") if rules.exists() else _well(state)
    age = (timezone.now() - state.ended_at).total_seconds()
    if age > LATE_SECONDS:
        return Status.DEGRADED, f"rules were checked last {duration(age)} ago: look at beat and workers"
    broken = failing_rules()
    if broken:
        return Status.DEGRADED, f"{counted(broken, 'rule')} can't be checked"
    return _well(state)


def failing_rules() -> int:
    """Those that can't be checked."""
    return Rule.objects.filter(enabled=True).exclude(problem="").count()


def _well(state: CheckerState) -> tuple[Status, str]:
    return Status.HEALTHY, f"{counted(state.rules, 'rule')} in {state.seconds:.2f} s"

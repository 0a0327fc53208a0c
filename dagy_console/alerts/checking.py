"""Checking rules, all that are due in one round.

A round claims its rules by one statement, so that two beats do no harm; asks each measure once for all of them; and
moves the alerts of those with something to move, each in a transaction that holds its rule and makes sure that nobody
has changed it, nor checked it later, meanwhile. A rule whose check fails says so, keeps its alerts as they are and
stops no other.
"""

import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from celery import current_app
from django.core.cache import cache
from django.db import DatabaseError, transaction
from django.utils import timezone

from dagy_console.alerts import heartbeat, hush, lifecycle, measures
from dagy_console.alerts.hush import Hush
from dagy_console.alerts.lifecycle import Found, Seen
from dagy_console.alerts.measures import Asked, Broken, Measure, Values
from dagy_console.alerts.models import OPEN, Alert, Op, Rule, Storm
from dagy_console.core.errors import ConsoleError
from dagy_console.core.forms import storable

log = structlog.get_logger(__name__)
# A rule is checked every 60th of its window, but so often at most and at least: what a day holds changes slowly. Each
# has its own beat, so that those of one window do not all come at once.
CHECK_SECONDS, MOST_SECONDS, PARTS = 10, 60, 60
# Of a value that was not there in the window before.
FROM_NOTHING = 1.0
# A clock that was set back must not keep rules from being checked.
ASTRAY = timedelta(minutes=1)
# What has just come in is looked at by rules of windows up to this, and no more often than that.
SOON_WINDOW, SOON_SECONDS = 900, 1
_CLAIM = """
UPDATE alerts_rule SET checked_at = %(now)s WHERE id IN (
  SELECT id FROM alerts_rule
  WHERE enabled AND (
    (measure = ANY(%(fresh)s) AND window_seconds <= %(soon_window)s AND checked_at < %(now)s)
    OR checked_at IS NULL OR checked_at > %(astray)s
    OR floor((extract(epoch FROM checked_at) + abs(hashtext(id::text)) %% %(most)s)
      / greatest(%(least)s, least(%(most)s, window_seconds / %(parts)s)))
     < floor((extract(epoch FROM %(now)s) + abs(hashtext(id::text)) %% %(most)s)
      / greatest(%(least)s, least(%(most)s, window_seconds / %(parts)s)))
  )
  FOR NO KEY UPDATE SKIP LOCKED
) RETURNING id, organization_id, measure, query, window_seconds, op, value, group_by, for_seconds, repeat_seconds,
  escalation, no_data, hours, enabled, checked_at, updated_at, problem
"""


def check_soon(measure_names: Sequence[str]) -> None:
    """Something has come in that these measures count: have their rules checked, once for all that comes in at once."""
    with suppress(Exception):
        # Beat checks them anyway: nothing that only makes it earlier may keep what came in from being kept. What comes
        # while the mark is there is there when the task begins, which is no earlier than the mark is gone.
        if cache.add(f"alerts:soon:{','.join(measure_names)}", 1, timeout=SOON_SECONDS):
            current_app.send_task(
                "alerts.check_fresh", [list(measure_names)], countdown=SOON_SECONDS, expires=30, retry=False
            )


def check_due(*, fresh: Sequence[str] = ()) -> int:
    """Check the rules whose turn it is, and those of the `fresh` measures; how many."""
    now, began = timezone.now(), time.monotonic()
    heartbeat.begin(now)
    times = {
        "least": CHECK_SECONDS,
        "most": MOST_SECONDS,
        "parts": PARTS,
        "fresh": list(fresh),
        "soon_window": SOON_WINDOW,
    }
    rules = list(Rule.objects.raw(_CLAIM, {"now": now, "astray": now + ASTRAY, **times}))
    problems: dict[UUID, str] = {}
    alerts: dict[UUID, dict[str, Alert]] = defaultdict(dict)
    for alert in Alert.objects.filter(status__in=OPEN, rule__in=rules) if rules else []:
        alerts[alert.rule_id][alert.label] = alert
    moved: list[Alert] = []
    quiet = hush.at(now)
    raging = {storm.rule_id: storm for storm in Storm.objects.filter(closed_at=None)} if rules else {}
    for rule, what in evaluate(rules, now):
        if isinstance(what, Broken):
            problems[rule.pk] = what.problem
            continue
        problems[rule.pk] = lifecycle.kept_open(what, alerts[rule.pk])
        if lifecycle.has_step(rule, what, alerts[rule.pk], now, quiet, raging.get(rule.pk)):
            problems[rule.pk] = _settled(rule, what, now, quiet) or problems[rule.pk]
        else:
            moved += lifecycle.values_moved(rule, what, alerts[rule.pk])
    Alert.objects.bulk_update(moved, ["value", "peak"], batch_size=1_000)
    _note(rules, problems)
    heartbeat.end(now, rules=len(rules), seconds=time.monotonic() - began)
    return len(rules)


def every(rule: Rule) -> timedelta:
    """How far apart its checks are."""
    return timedelta(seconds=max(CHECK_SECONDS, min(MOST_SECONDS, rule.window_seconds // PARTS)))


def _settled(rule: Rule, what: Seen, now: datetime, quiet: Hush) -> str:
    """Why it could not be; "" where it was."""
    try:
        _settle(rule, what, now, quiet)
    except DatabaseError as error:
        log.exception("alerts.not_settled", rule=str(rule.pk))
        return f"What it found could not be written ({type(error).__name__}): it is tried again."
    return ""


@transaction.atomic
def _settle(rule: Rule, what: Seen, now: datetime, quiet: Hush) -> None:
    """One that somebody holds is looked at again in the next round."""
    as_evaluated = Rule.objects.filter(pk=rule.pk, enabled=True, checked_at=now, updated_at=rule.updated_at)
    held = as_evaluated.select_for_update(no_key=True, of=("self",), skip_locked=True).first()
    if held:
        lifecycle.settle(held, what, now, quiet)


def _note(rules: Sequence[Rule], problems: dict[UUID, str]) -> None:
    """What keeps rules from being checked, where that has changed."""
    for rule in rules:
        problem = storable(problems.get(rule.pk, ""), 500)
        if problem != rule.problem:
            log.warning("alerts.rule_problem", rule=str(rule.pk), problem=problem)
            Rule.objects.filter(pk=rule.pk).update(problem=problem)


def evaluate(rules: Sequence[Rule], now: datetime) -> Iterator[tuple[Rule, Seen | Broken]]:
    """What each rule's measure is at `now`."""
    by_measure: dict[str, list[Rule]] = defaultdict(list)
    for rule in rules:
        by_measure[rule.measure].append(rule)
    for name, watching in by_measure.items():
        yield from zip(watching, _of_measure(name, watching, now), strict=True)


def _of_measure(name: str, rules: Sequence[Rule], now: datetime) -> list[Seen | Broken]:
    try:
        measure = measures.get(name)
        current = measure.values([asked(rule, now) for rule in rules])
        changing = [rule for rule in rules if rule.op == Op.CHANGE]
        before = measure.values([asked(rule, now - _window(rule)) for rule in changing]) if changing else []
        earlier = {rule.pk: values for rule, values in zip(changing, before, strict=True)}
        stale = measure.stale()
    except ConsoleError as error:
        return [Broken(error.detail)] * len(rules)
    except Exception as error:
        # Whatever breaks in one measure, the others are checked.
        log.exception("alerts.measure_broke", measure=name)
        return [Broken(f"Its measure fails ({type(error).__name__}); the log says more.")] * len(rules)
    return [
        _seen(measure, rule, values, earlier.get(rule.pk, {}), stale=stale)
        for rule, values in zip(rules, current, strict=True)
    ]


def asked(rule: Rule, end: datetime) -> Asked:
    """The rule's question for the window that ends then."""
    return Asked(rule.query, rule.org_id, tuple(rule.group_by), end - _window(rule), end)


def _window(rule: Rule) -> timedelta:
    return timedelta(seconds=rule.window_seconds)


def _seen(
    measure: Measure, rule: Rule, values: Values | Broken, earlier: Values | Broken, *, stale: str
) -> Seen | Broken:
    for answer in (values, earlier):
        if isinstance(answer, Broken):
            return answer
    assert not isinstance(values, Broken) and not isinstance(earlier, Broken)
    return lifecycle.seen(rule, _found(rule, values, earlier), no_data=not values and not measure.is_count, stale=stale)


def _found(rule: Rule, values: Values, earlier: Values) -> Iterator[Found]:
    for key, value in values.items():
        told = compared(rule, value, earlier.get(key))
        yield Found(dict(zip(rule.group_by, key, strict=True)), told, lifecycle.is_breach(rule, told))


def compared(rule: Rule, value: float, earlier: float | None) -> float:
    """What the condition is about: the value, or how many times that of the window before it is."""
    return value / (earlier or FROM_NOTHING) if rule.op == Op.CHANGE else value

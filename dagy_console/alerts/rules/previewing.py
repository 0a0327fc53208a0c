"""What a rule would do, before anybody is told by it."""

from dataclasses import dataclass

from django.utils import timezone

from dagy_console.alerts import checking, measures
from dagy_console.alerts.history import DAYS, History, history
from dagy_console.alerts.lifecycle import Found
from dagy_console.alerts.measures import Broken
from dagy_console.alerts.models import Op, Rule
from dagy_console.alerts.rules.terms import Terms
from dagy_console.alerts.rules.validating import refuse, set_terms, wrong
from dagy_console.alerts.scope import require
from dagy_console.alerts.telling import figure
from dagy_console.core.actors import Actor
from dagy_console.core.errors import Invalid
from dagy_console.core.words import counted, share

# Of the time in which its condition holds, from which on a rule says nothing any more; and firings, likewise.
MOST_SHARE, MOST_FIRINGS = 0.5, 100


@dataclass(frozen=True, slots=True)
class Preview:
    """`history` is None of what has none. `now`: what a check would find. `said` is a sentence; `warning` another, of a
    rule that can never fire, or always does, "" where it is a rule."""

    rule: Rule
    history: History | None
    now: list[Found]
    said: str
    warning: str

    @property
    def fires(self) -> list[Found]:
        return [one for one in self.now if one.is_breached]


def preview_rule(*, actor: Actor, org_id: str, terms: Terms) -> Preview:
    """What such a rule would do; nothing is kept. Its name and channels may still be missing.

    Raises PermissionDenied, Invalid.
    """
    require(actor, org_id)
    refuse(wrong(actor, org_id, terms))
    rule = Rule(organization_id=org_id or None)
    set_terms(rule, terms)
    return preview(rule)


def preview(rule: Rule) -> Preview:
    """Of a rule that need not be kept. Raises Invalid where it can't be looked at in time."""
    now = timezone.now()
    ((_, found),) = checking.evaluate([rule], now)
    if isinstance(found, Broken):
        raise Invalid.field("query", found.problem)
    current = list(found.found.values())
    past = history(rule, now) if measures.get(rule.measure).has_history else None
    said = _would_have(rule, past) if past else ""
    return Preview(rule, past, current, f"{said}{_now(rule, current)}", _warning(rule, past))


def _would_have(rule: Rule, past: History) -> str:
    worst = past.worst(rule)
    if not past.firings:
        which = "least" if rule.op == Op.BELOW else "most"
        closest = f": the {which} was {figure(rule, worst)}" if worst is not None else ""
        return f"Would not have fired in the last {DAYS} days{closest}. "
    times = counted(len(past.firings), "time")
    return f"Would have fired {times} in the last {DAYS} days. "


def _now(rule: Rule, found: list[Found]) -> str:
    breached = [one for one in found if one.is_breached]
    if rule.group_by:
        of = f" for {counted(len(breached), 'value')} of {' and '.join(rule.group_by)}" if breached else ""
        return f"It would {'' if breached else 'not '}fire now{of}."
    if not found:
        return "There is no data now."
    return f"It is {figure(rule, found[0].value)} now: it would {'' if breached else 'not '}fire."


def _warning(rule: Rule, past: History | None) -> str:
    if past is None:
        return ""
    if past.share > MOST_SHARE:
        return f"Its condition held for {share(past.share * 100)} of that time: it would say little. Move the limit."
    if len(past.firings) > MOST_FIRINGS:
        return "That is too often to be read: move the limit, or let it hold for longer before it fires."
    worst = past.worst(rule)
    if past.firings:
        return ""
    if worst is None:
        return "There was nothing to measure in all that time: see that the query finds something."
    if not worst and rule.op == Op.ABOVE:
        return "Nothing that it looks for was there in all that time: see that the query finds something."
    return ""

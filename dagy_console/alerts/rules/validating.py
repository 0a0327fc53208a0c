"""What is wrong with the terms of a rule, each at its field."""

from itertools import pairwise
from typing import Any

from dagy_console.alerts import hours, measures
from dagy_console.alerts.models import NoData, Op, Rule, Severity
from dagy_console.alerts.rules.terms import RELATIONS, Terms
from dagy_console.core.actors import Actor
from dagy_console.core.errors import FieldError, Invalid

MINUTE, WEEK, MONTH = 60, 7 * 86_400, 31 * 86_400
MOST_DIMENSIONS, MOST_STEPS = 2, 5


def refuse(errors: list[FieldError]) -> None:
    if errors:
        raise Invalid("The rule can't be kept so.", errors=errors)


def wrong(actor: Actor, org_id: str, terms: Terms) -> list[FieldError]:
    """Of what is watched. Raises PermissionDenied, and Invalid of what can't be read at all."""
    measure = measures.get(terms.measure)
    if org_id:
        actor.require(measure.permission, org_id=org_id)
    measure.parse(terms.query, org_id)
    if terms.hours is not None:
        hours.parse(terms.hours)
    return [
        FieldError(name, message)
        for name, is_wrong, message in (
            ("measure", bool(org_id) and not measure.for_organizations, "is the platform's alone"),
            ("window_seconds", not MINUTE <= terms.window_seconds <= MONTH, "must be a minute to 31 days"),
            ("for_seconds", not 0 <= terms.for_seconds <= WEEK, "must be 0 to a week"),
            ("repeat_seconds", 0 < terms.repeat_seconds < MINUTE, "must be 0 (never) or a minute and more"),
            ("repeat_seconds", not 0 <= terms.repeat_seconds <= WEEK, "must be 0 to a week"),
            ("condition", terms.op not in Op.values, f"op must be one of {', '.join(Op.values)}"),
            ("condition", not 0 <= terms.value < 1e12, "value must be 0 or more"),
            ("condition", terms.op == Op.BELOW and terms.value <= 0, "nothing is below 0: it would never fire"),
            ("condition", terms.op == Op.CHANGE and not measure.has_history, f"{measure.name} has no window before"),
            ("condition", _is_beyond_window(measure, terms), "value is more than the window: it would never fire"),
            ("no_data", terms.no_data not in NoData.values, f"must be one of {', '.join(NoData.values)}"),
            ("severity", terms.severity not in Severity.values, f"must be one of {', '.join(Severity.values)}"),
            (
                "escalation",
                not _are_steps(terms),
                f"takes {MOST_STEPS} steps, a minute and more apart, with channels or rotations",
            ),
            *_wrong_dimensions(measure, org_id, terms),
        )
        if is_wrong
    ]


def _are_steps(terms: Terms) -> bool:
    """The first a minute and more after it fires."""
    times = [0, *(step["after_seconds"] for step in terms.escalation)]
    apart = all(MINUTE <= later - earlier <= WEEK for earlier, later in pairwise(times))
    return apart and len(terms.escalation) <= MOST_STEPS and all(map(_tells_somebody, terms.escalation))


def _tells_somebody(step: dict[str, Any]) -> bool:
    return bool(step.get("channel_ids") or step.get("rotation_ids"))


def channels_of(terms: Terms) -> set[str]:
    """All that it may ever tell, as text."""
    steps = (channel for step in terms.escalation for channel in step.get("channel_ids", ()))
    return {str(one) for one in (*terms.channel_ids, *steps)}


def rotations_of(terms: Terms) -> set[str]:
    """All of which it may ever tell who is on call, as text."""
    steps = (rotation for step in terms.escalation for rotation in step.get("rotation_ids", ()))
    return {str(one) for one in (*terms.rotation_ids, *steps)}


def _is_beyond_window(measure: measures.Measure, terms: Terms) -> bool:
    looks_back_no_further = measure.name == "no_success_since"
    return looks_back_no_further and terms.op == Op.ABOVE and terms.value >= terms.window_seconds


def _wrong_dimensions(measure: measures.Measure, org_id: str, terms: Terms) -> list[tuple[str, bool, str]]:
    known = measure.dimensions(org_id)
    unknown = [name for name in terms.group_by if name not in known]
    return [
        ("group_by", bool(unknown), f"{measure.name} has {', '.join(known) or 'none'}"),
        ("group_by", len(set(terms.group_by)) != len(terms.group_by), "names one twice"),
        ("group_by", len(terms.group_by) > MOST_DIMENSIONS, f"takes {MOST_DIMENSIONS} at most"),
        ("group_by", terms.op == Op.BELOW and bool(terms.group_by), "a value that is gone is not below: leave it out"),
    ]


def name_of(terms: Terms) -> str:
    """As it is kept, and compared."""
    return " ".join(terms.name.split())


def set_terms(rule: Rule, terms: Terms) -> None:
    for name in Terms.__dataclass_fields__:
        if name not in RELATIONS:
            setattr(rule, name, getattr(terms, name))
    rule.name, rule.group_by = name_of(terms), list(terms.group_by)
    rule.escalation = [
        {
            "after_seconds": step["after_seconds"],
            "channel_ids": [str(one) for one in step.get("channel_ids", ())],
            "rotation_ids": [str(one) for one in step.get("rotation_ids", ())],
        }
        for step in terms.escalation
    ]

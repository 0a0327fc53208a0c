"""What a rule is made of."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from dagy_console.alerts.models import NoData, Rule, Severity

LONGEST_NAME = 100


@dataclass(frozen=True, slots=True)
class Terms:
    """What a rule watches and whom it tells. Times are in seconds; no `repeat_seconds`: it is told once. A step of the
    escalation has `after_seconds`, and `channel_ids`, `rotation_ids` or both."""

    name: str
    measure: str
    window_seconds: int
    op: str
    value: float
    query: str = ""
    group_by: Sequence[str] = ()
    for_seconds: int = 0
    severity: str = Severity.WARNING
    channel_ids: Sequence[uuid.UUID] = field(default_factory=tuple)
    rotation_ids: Sequence[uuid.UUID] = field(default_factory=tuple)
    repeat_seconds: int = 0
    escalation: Sequence[dict[str, Any]] = ()
    no_data: str = NoData.OK
    hours: dict[str, Any] | None = None
    enabled: bool = True


# Of the terms, what a rule keeps as relations.
RELATIONS = {"channel_ids": "channels", "rotation_ids": "rotations"}


def terms_of(rule: Rule) -> Terms:
    told = {name: getattr(rule, name) for name in Terms.__dataclass_fields__ if name not in RELATIONS}
    related = {name: getattr(rule, relation).order_by("name") for name, relation in RELATIONS.items()}
    ids = {name: tuple(rows.values_list("pk", flat=True)) for name, rows in related.items()}
    return Terms(**told | ids | {"escalation": steps_of(rule)})


def steps_of(rule: Rule) -> list[dict[str, Any]]:
    """`after_seconds`, `channel_ids`, `rotation_ids`: those that were kept without the last have none."""
    return [{"rotation_ids": [], **step} for step in rule.escalation]

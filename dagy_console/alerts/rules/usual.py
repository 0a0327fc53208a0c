"""Rules that most installations want, to begin with: forms that are filled in."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Usual:
    """`terms` are those that differ from the form's own."""

    key: str
    title: str
    terms: dict[str, Any] = field(default_factory=dict)


USUAL = (
    Usual(
        "more-exceptions",
        "More exceptions than before",
        {"measure": "exception_count", "window_seconds": 3_600, "op": "change", "value": 3},
    ),
    Usual(
        "customer-hit",
        "Exceptions of one customer",
        {"measure": "exception_count", "group_by": "org", "value": 50, "severity": "critical"},
    ),
    Usual("new-problem", "A new problem", {"measure": "new_group", "group_by": "group", "value": 0}),
    Usual("back-again", "A problem came back", {"measure": "regression", "group_by": "group", "value": 0}),
    Usual(
        "many-customers",
        "Many customers are hit",
        {"measure": "organizations_affected", "window_seconds": 900, "value": 5, "severity": "critical"},
    ),
    Usual("runs-fail", "Runs fail", {"measure": "run_failed", "window_seconds": 900, "group_by": "flow", "value": 3}),
    Usual(
        "failure-rate",
        "A large share of runs fails",
        {"measure": "failure_rate", "window_seconds": 3_600, "value": 20, "for_seconds": 300},
    ),
    Usual("stuck", "Runs are stuck", {"measure": "run_stuck", "value": 0, "for_seconds": 120}),
    Usual("queue", "Runs wait for a worker", {"measure": "queue_wait", "value": 120, "severity": "critical"}),
    Usual(
        "no-success",
        "A flow has not succeeded for a day",
        {"measure": "no_success_since", "window_seconds": 604_800, "group_by": "flow", "value": 90_000},
    ),
    Usual(
        "denied",
        "Somebody tries doors",
        {"measure": "audit_count", "query": "outcome:denied", "group_by": "actor", "value": 20},
    ),
    Usual(
        "part-down",
        "A part of the platform is down",
        {"measure": "health_down", "group_by": "component", "value": 0, "for_seconds": 120, "severity": "critical"},
    ),
    Usual(
        "unwatched", "Rules were not checked", {"measure": "checker_heartbeat", "window_seconds": 3_600, "value": 300}
    ),
)

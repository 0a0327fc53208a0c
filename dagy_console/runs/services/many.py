"""Cancelling, and starting again, all runs that match a search."""

from collections.abc import Callable
from dataclasses import dataclass

from django.db import transaction
from django.db.models import QuerySet

from dagy_console.core.actors import Actor
from dagy_console.core.errors import Conflict, Invalid
from dagy_console.core.permissions import Permission
from dagy_console.listing.language import Query
from dagy_console.runs import selectors
from dagy_console.runs.models import Run
from dagy_console.runs.services import cancelling, triggering

MOST = 1_000


class CountChanged(Conflict):
    title = "Other runs match by now"

    def __init__(self, *, expected: int, actual: int) -> None:
        super().__init__(f"{actual:,} runs match now, not {expected:,}. Nothing was changed: look again, then confirm.")


@transaction.atomic
def cancel_matching(*, actor: Actor, query: Query, expected_count: int, reason: str = "") -> int:
    """How many were asked to stop: each is on record. Raises PermissionDenied, Invalid (too many), CountChanged."""
    runs = _confirmed(selectors.cancellable(actor, query), expected_count)
    return sum(cancelling.stop(run, actor=actor, reason=reason) for run in runs)


@transaction.atomic
def retry_matching(*, actor: Actor, query: Query, expected_count: int, from_failure: bool = True) -> int:
    """How many were started again: each is on record. Raises PermissionDenied, Invalid (too many), CountChanged."""
    runs = _confirmed(selectors.retryable(actor, query), expected_count)
    for run in runs:
        triggering.retry(actor=actor, run_id=run.pk, from_failure=from_failure, via="bulk")
    return len(runs)


def _confirmed(rows: QuerySet[Run], expected_count: int) -> list[Run]:
    runs = list(rows.order_by("created_at", "pk")[: MOST + 1])
    if len(runs) > MOST:
        raise Invalid.field("q", f"matches more than {MOST:,} runs: narrow the search, and do it in parts")
    if len(runs) != expected_count:
        raise CountChanged(expected=expected_count, actual=len(runs))
    return runs


@dataclass(frozen=True, slots=True)
class Deed:
    """What can be done to many runs at once, in words."""

    name: str
    verb: str
    past: str
    permission: Permission
    rows: Callable[[Actor, Query], QuerySet[Run]]
    act: Callable[..., int]


DEEDS = {
    "cancel": Deed("cancel", "Cancel", "Cancelled", Permission.RUNS_CANCEL, selectors.cancellable, cancel_matching),
    "retry": Deed("retry", "Retry", "Started again:", Permission.RUNS_TRIGGER, selectors.retryable, retry_matching),
}

"""Runs that nobody works on are handed to a worker again: their message was lost, or their worker was."""

from datetime import timedelta

from django.db.models.functions import Now

from dagy_console.accounts.selectors import suspensions_in_force
from dagy_console.core import leases
from dagy_console.runs.models import UNFINISHED_RUNS, Run, RunStatus
from dagy_console.runs.services.triggering import hand_over

PATIENCE_SECONDS = 5
_AT_ONCE = 1_000


def resume() -> None:
    """A run that waits is run; one that has begun and has no worker any more is told of as lost (`executing`)."""
    waiting = Run.objects.filter(
        leases.free(), status__in=UNFINISHED_RUNS, created_at__lt=Now() - timedelta(seconds=PATIENCE_SECONDS)
    ).exclude(status=RunStatus.QUEUED, organization__in=suspensions_in_force().values("organization"))
    for run in waiting.order_by("created_at")[:_AT_ONCE]:
        # The next round asks again: what no worker has taken by then is not needed any more.
        hand_over(run, expires=PATIENCE_SECONDS)

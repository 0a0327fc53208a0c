"""Runs that nobody works on are handed to a worker again: their message was lost, or their worker was."""

from datetime import timedelta

from django.db.models.functions import Now

from dagy_console.core import leases
from dagy_console.runs import queueing
from dagy_console.runs.models import RUNS_UNDER_WAY, Run
from dagy_console.runs.services.triggering import hand_over

PATIENCE_SECONDS = 5
_AT_ONCE = 1_000


def resume() -> None:
    """A run that waits and may begin is run; one that has begun and has no worker any more is told of as lost
    (`executing`)."""
    unheld = Run.objects.filter(leases.free(), status__in=RUNS_UNDER_WAY)
    for rows in (unheld, queueing.ready()):
        late = rows.filter(created_at__lt=Now() - timedelta(seconds=PATIENCE_SECONDS))
        for run in late.order_by("created_at")[:_AT_ONCE]:
            # The next round asks again: what no worker has taken by then is not needed any more.
            hand_over(run, expires=PATIENCE_SECONDS)

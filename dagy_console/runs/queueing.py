"""Which of the runs that wait is next: fair between organizations, and within what their flows may run at once.

A message of Celery's only says that there is one more to run. A worker asks here which: that of the organization with
the fewest under way, and of its runs the oldest. One organization's thousand runs so never keep another's one waiting.
"""

import uuid

from django.db.models import Count, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce

from dagy_console.accounts.selectors import suspensions_in_force, suspensions_of
from dagy_console.core import leases
from dagy_console.runs.models import RUNS_UNDER_WAY, Flow, Run, RunStatus


def ready() -> QuerySet[Run]:
    """Runs that wait and may begin."""
    return Run.objects.filter(leases.free(), status=RunStatus.QUEUED).exclude(held_back())


def held_back() -> Q:
    """Runs that wait as they should: their organization is suspended, or their flow runs as often as it may."""
    limited = Flow.objects.filter(latest__concurrency_limit__isnull=False)
    full = limited.filter(latest__concurrency_limit__lte=_under_way(flow=OuterRef("pk")))
    return Q(organization__in=suspensions_in_force().values("organization")) | Q(flow__in=full.values("pk"))


def next_run(queue: str) -> uuid.UUID | None:
    """The run that is next in this queue."""
    oldest = ready().filter(flow=OuterRef("pk"), queue=queue).order_by("created_at")
    flows = Flow.objects.annotate(
        run_id=Subquery(oldest.values("pk")[:1]),
        since=Subquery(oldest.values("created_at")[:1]),
        busy=_under_way(organization=OuterRef("organization")),
    )
    found = flows.filter(run_id__isnull=False).order_by("busy", "since").values_list("run_id", flat=True)
    return found.first()


def next_of_flow(flow_id: uuid.UUID) -> Run | None:
    """The one that waits for the place of a run that has ended."""
    return ready().filter(flow=flow_id).order_by("created_at").first()


def has_room(flow: Flow) -> bool:
    """Whether one more may run. Exact where the organization's row is locked."""
    limit = flow.concurrency_limit
    return limit is None or flow.runs.filter(status__in=RUNS_UNDER_WAY).count() < limit


def why_it_waits(run: Run) -> str:
    """For a run that is queued; "" for others."""
    if run.status != RunStatus.QUEUED:
        return ""
    if suspensions_of([run.organization_id]):
        return f"{run.organization_id} is suspended: its runs wait until that is lifted."
    if not has_room(run.flow):
        return (
            f"As many runs of {run.flow.name} are under way as there may be at once. It begins when one of them ends."
        )
    return f"It begins when a worker of the queue “{run.queue}” is free."


def _under_way(**of: OuterRef) -> Coalesce:
    """How many runs are, of the one organization, or flow, of the outer row."""
    rows = Run.objects.filter(status__in=RUNS_UNDER_WAY, **of).order_by().values(*of)
    return Coalesce(Subquery(rows.annotate(count=Count("pk")).values("count")), 0)

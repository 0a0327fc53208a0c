"""What runs tell of a customer: how many failed, the latest, and what a suspension hits."""

from datetime import timedelta
from typing import Any

from django.db.models import Count, IntegerField, OuterRef, Subquery
from django.db.models.expressions import Combinable
from django.db.models.functions import Coalesce, Now

from dagy_console.core.actors import Actor
from dagy_console.customers import registry
from dagy_console.customers.registry import Figure, Hit, Panel
from dagy_console.listing.finding import find
from dagy_console.listing.language import Term
from dagy_console.runs import selectors
from dagy_console.runs.models import LOCAL, Run, RunStatus, Schedule
from dagy_console.runs.presenting import run_row
from dagy_console.runs.schedules import services as schedules
from dagy_console.runs.search import RUNS, failed_of_a_day
from dagy_console.runs.services import suspending


def register() -> None:
    registry.add_figure(Figure("failed_runs_24h", "Failed runs, 24 h", _failed_of_a_day, _url, bad=True))
    registry.add_panel(Panel("runs", "runs/_customer.html", _latest, order=20))
    registry.add_hit(Hit("running_runs", "running run", _running))
    registry.add_hit(Hit("queued_runs", "queued run", _queued))
    registry.add_hit(Hit("schedules", "schedule", _schedules))
    registry.on_suspended.append(suspending.on_suspended)
    registry.on_lifted.append(schedules.on_lifted)


def _failed_of_a_day() -> Combinable:
    rows = Run.objects.filter(
        organization=OuterRef("pk"), status=RunStatus.FAILED, created_at__gte=Now() - timedelta(days=1)
    ).exclude(trigger=LOCAL)
    counted = rows.order_by().values("organization").annotate(n=Count("*")).values("n")
    return Coalesce(Subquery(counted, output_field=IntegerField()), 0)


def _url(org_id: str) -> str:
    return failed_of_a_day(Term("org", org_id)).url


def _latest(actor: Actor, org_id: str) -> dict[str, Any]:
    query = RUNS.query(Term("org", org_id))
    rows = find(selectors.runs_visible_to(actor), query, limit=5).rows
    return {"rows": [run_row(run) for run in rows], "url": query.url}


def _running(org_id: str) -> int:
    return Run.objects.filter(organization=org_id, status__in=(RunStatus.RUNNING, RunStatus.CANCELLING)).count()


def _schedules(org_id: str) -> int:
    return Schedule.objects.filter(organization=org_id, paused=False).count()


def _queued(org_id: str) -> int:
    return Run.objects.filter(organization=org_id, status=RunStatus.QUEUED).count()

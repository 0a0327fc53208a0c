"""Reading flows, deployments, runs and their logs, as far as the actor may."""

import uuid
from datetime import timedelta
from typing import Any

from django.db.models import Case, Count, IntegerField, QuerySet, When

from dagy.artifacts import OUTPUT_NAME
from dagy.states import State
from dagy_console.accounts.selectors import suspensions_in_force
from dagy_console.audit import selectors as audit
from dagy_console.audit.actions import Action, Nature
from dagy_console.audit.models import AuditEntry
from dagy_console.core.actors import Actor
from dagy_console.core.errors import NotFound
from dagy_console.core.forms import is_storable
from dagy_console.core.permissions import Permission
from dagy_console.listing.language import Query
from dagy_console.runs.models import LOCAL, Deployment, Flow, Run, RunStatus, TaskRun

CHANGES_SPAN, CHANGES_SHOWN = timedelta(hours=1), 5
_DEEDS = {Permission.RUNS_READ: "see", Permission.RUNS_CANCEL: "cancel", Permission.RUNS_TRIGGER: "start again"}
_NO_CHANGE = (Action.RUN_TRIGGERED, Action.RUN_RETRIED, Action.SUDO_GRANTED, Action.SUDO_DENIED)


def flows_visible_to(actor: Actor, permission: Permission = Permission.FLOWS_READ) -> QuerySet[Flow]:
    """Every flow for the platform's staff; for others those of the organizations in which they have the permission.

    Raises PermissionDenied.
    """
    return actor.scoped(Flow.objects.select_related("latest"), permission)


def get_flow(actor: Actor, flow_id: uuid.UUID) -> Flow:
    """Raises PermissionDenied, NotFound."""
    flow = flows_visible_to(actor).filter(pk=flow_id).first()
    if flow is None:
        raise NotFound("There is no such flow, or it is not yours to see.")
    return flow


def deployments_visible_to(actor: Actor) -> QuerySet[Deployment]:
    """Raises PermissionDenied."""
    return actor.scoped(Deployment.objects.select_related("flow"), Permission.FLOWS_READ)


def runs_visible_to(actor: Actor, permission: Permission = Permission.RUNS_READ) -> QuerySet[Run]:
    """Every run for the platform's staff; for others those of the organizations in which they have the permission.

    Raises PermissionDenied.
    """
    return actor.scoped(Run.objects.select_related("flow__latest", "deployment", "deployment__flow"), permission)


def failed_visible_to(actor: Actor) -> QuerySet[Run]:
    """Of `failed`. Raises PermissionDenied."""
    return failed(runs_visible_to(actor))


def failed(rows: QuerySet[Run] | None = None) -> QuerySet[Run]:
    """Those that failed on the platform: one of somebody's own machine is nobody else's trouble."""
    found = Run.objects.all() if rows is None else rows
    return found.filter(status=RunStatus.FAILED).exclude(trigger=LOCAL)


def get_run(actor: Actor, run_id: uuid.UUID, permission: Permission = Permission.RUNS_READ) -> Run:
    """Raises PermissionDenied, NotFound."""
    run = runs_visible_to(actor, permission).filter(pk=run_id).first()
    if run is None:
        raise NotFound(f"There is no such run, or it is not yours to {_DEEDS[permission]}.")
    return run


def tasks_of(run: Run) -> QuerySet[TaskRun]:
    """In the order of the flow's calls."""
    return run.task_runs.order_by("position")


def counts_of_tasks(run: Run) -> dict[str, int]:
    """State -> how many tasks."""
    counted = run.task_runs.values("status").annotate(count=Count("*")).order_by()
    return dict(counted.values_list("status", "count"))


def retries_of(actor: Actor, run: Run, limit: int = 5) -> list[Run]:
    """The latest runs that do this one again."""
    return list(runs_visible_to(actor).filter(retry_of=run.pk).order_by("-created_at")[:limit])


def ids_of_tasks(run: Run, limit: int = 500) -> list[str]:
    """To choose from, in the order of the flow's calls."""
    return list(tasks_of(run).values_list("task_id", flat=True)[:limit])


def worst_tasks(run: Run, *, state: str = "", limit: int | None) -> list[TaskRun]:
    """Those that failed first, then those that go on; of one state, where it is given."""
    tasks = run.task_runs.filter(status=state) if state else run.task_runs.all()
    rank = Case(
        When(status__in=(State.FAILED, State.TIMED_OUT), then=0),
        When(status=State.RUNNING, then=1),
        When(status=State.CANCELLED, then=2),
        default=3,
        output_field=IntegerField(),
    )
    return list(tasks.order_by(rank, "position")[:limit])


def get_task(run: Run, task_id: str) -> TaskRun:
    """Raises NotFound."""
    task = run.task_runs.filter(task_id=task_id).first() if is_storable(task_id) else None
    if task is None:
        raise NotFound("There is no such task in this run.")
    return task


def artifacts_of(run: Run) -> list[tuple[TaskRun, dict[str, Any]]]:
    """Each artifact with its task: files first, then outputs, in the order of the tasks."""
    tasks = run.task_runs.exclude(artifacts=[]).only("task_id", "artifacts").order_by("position")
    found = [(task, kept) for task in tasks for kept in task.artifacts]
    return sorted(found, key=lambda one: one[1]["name"] == OUTPUT_NAME)


def get_artifact(run: Run, task_id: str, name: str) -> dict[str, Any]:
    """What is known of it: `name`, `size_bytes`, `content_type`. Raises NotFound."""
    kept = [one for one in get_task(run, task_id).artifacts if one["name"] == name]
    if not kept:
        raise NotFound("This task has left no such artifact.")
    return dict(kept[0])


def last_success_before(run: Run) -> Run | None:
    """The flow's latest run here, before this one, that succeeded."""
    runs = Run.objects.select_related("flow", "deployment", "deployment__flow").filter(
        flow=run.flow_id, deployment__isnull=False
    )
    earlier = runs.filter(status=RunStatus.SUCCEEDED, created_at__lt=run.created_at)
    return earlier.order_by("-created_at", "-id").first()


def changes_before(actor: Actor, run: Run) -> list[AuditEntry]:
    """What was changed in the run's organization in the hour before it began, newest first, as far as the actor may
    see it; runs that were started do not count."""
    if not actor.can(Permission.AUDIT_READ, org_id=run.organization_id):
        return []
    until = run.started_at or run.created_at
    entries = audit.visible_to(actor).filter(org_id=run.organization_id, at__lte=until, at__gt=until - CHANGES_SPAN)
    changes = [action.value for action in Action if action.nature is not Nature.READS and action not in _NO_CHANGE]
    return list(entries.filter(action__in=changes).order_by("-at", "-id")[:CHANGES_SHOWN])


def cancellable(actor: Actor, query: Query) -> QuerySet[Run]:
    """What of a search can be cancelled. Raises PermissionDenied."""
    rows = runs_visible_to(actor, Permission.RUNS_CANCEL).filter(query.as_q())
    return rows.filter(status__in=(RunStatus.QUEUED, RunStatus.RUNNING))


def retryable(actor: Actor, query: Query) -> QuerySet[Run]:
    """What of a search failed or was cancelled, and was not started again yet. Raises PermissionDenied."""
    rows = runs_visible_to(actor, Permission.RUNS_TRIGGER).filter(query.as_q())
    suspended = suspensions_in_force().values("organization")
    rows = rows.filter(status__in=(RunStatus.FAILED, RunStatus.CANCELLED), retries=None)
    return rows.exclude(organization__in=suspended)

"""Reading flows, deployments, runs and their logs, as far as the actor may."""

import uuid

from django.db.models import QuerySet

from dagy.records import LEVELS
from dagy_console.core.actors import Actor
from dagy_console.core.errors import NotFound
from dagy_console.core.permissions import Permission
from dagy_console.runs.models import Deployment, Flow, LogLine, Run, TaskRun


def flows_visible_to(actor: Actor, permission: Permission = Permission.FLOWS_READ) -> QuerySet[Flow]:
    """Every flow for the platform's staff; for others those of the organizations in which they have the permission.

    Raises PermissionDenied.
    """
    actor.require_somewhere(permission)
    flows = Flow.objects.select_related("latest")
    return flows if actor.is_platform else flows.filter(organization__in=actor.orgs_with(permission))


def get_flow(actor: Actor, flow_id: uuid.UUID) -> Flow:
    """Raises PermissionDenied, NotFound."""
    flow = flows_visible_to(actor).filter(pk=flow_id).first()
    if flow is None:
        raise NotFound("There is no such flow, or it is not yours to see.")
    return flow


def deployments_visible_to(actor: Actor) -> QuerySet[Deployment]:
    """Raises PermissionDenied."""
    actor.require_somewhere(Permission.FLOWS_READ)
    rows = Deployment.objects.select_related("flow")
    return rows if actor.is_platform else rows.filter(organization__in=actor.orgs_with(Permission.FLOWS_READ))


def runs_visible_to(actor: Actor, permission: Permission = Permission.RUNS_READ) -> QuerySet[Run]:
    """Every run for the platform's staff; for others those of the organizations in which they have the permission.

    Raises PermissionDenied.
    """
    actor.require_somewhere(permission)
    runs = Run.objects.select_related("flow", "deployment", "deployment__flow")
    return runs if actor.is_platform else runs.filter(organization__in=actor.orgs_with(permission))


def get_run(actor: Actor, run_id: uuid.UUID, permission: Permission = Permission.RUNS_READ) -> Run:
    """Raises PermissionDenied, NotFound."""
    run = runs_visible_to(actor, permission).filter(pk=run_id).first()
    if run is None:
        deed = "see" if permission is Permission.RUNS_READ else "cancel"
        raise NotFound(f"There is no such run, or it is not yours to {deed}.")
    return run


def tasks_of(run: Run) -> QuerySet[TaskRun]:
    """In the order of the flow's calls; the first five hundred."""
    return run.task_runs.order_by("position")[:500]


def end_of_log(run: Run, lines: int = 500) -> list[LogLine]:
    """The last lines, oldest first."""
    return list(run.log.order_by("-sequence")[:lines])[::-1]


def log_of(run: Run, *, after: int, task_id: str | None, level: str | None, q: str | None) -> QuerySet[LogLine]:
    """The log from the line after `after` on, oldest first; `level` is the least, `q` a text in the message."""
    lines = run.log.filter(sequence__gt=after).order_by("sequence")
    if task_id is not None:
        lines = lines.filter(task_id=task_id)
    if level is not None:
        lines = lines.filter(level__in=LEVELS[LEVELS.index(level) :])
    return lines.filter(message__icontains=q) if q else lines

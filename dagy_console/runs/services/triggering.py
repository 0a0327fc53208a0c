"""Starting runs."""

import uuid
from datetime import datetime
from typing import Any

from celery import current_app
from django.db import transaction

from dagy_console.accounts.selectors import suspensions_of
from dagy_console.audit.actions import Action
from dagy_console.audit.recorder import record
from dagy_console.core.actors import SYSTEM, Actor
from dagy_console.core.errors import Conflict, FieldError, Invalid
from dagy_console.core.forms import is_storable
from dagy_console.core.permissions import Permission
from dagy_console.runs import selectors
from dagy_console.runs.models import DEFAULT_QUEUE, Deployment, Flow, Run, RunStatus, Schedule


@transaction.atomic
def trigger(*, actor: Actor, org_id: str, flow: str, parameters: dict[str, Any], via: str = "api") -> Run:
    """A run of a flow's latest version, by the flow's name. A worker takes it once this is committed.

    Parameters are checked by their names here, and by their types where the flow's code is.
    Raises PermissionDenied; Invalid (no such flow, wrong parameters); Conflict (nothing is deployed, or the
    organization is suspended).
    """
    actor.require(Permission.RUNS_TRIGGER, org_id=org_id)
    found = deployed_flow(org_id, flow)
    check_parameters(found, parameters)
    return _start(found, Action.RUN_TRIGGERED, actor=actor, via=via, parameters=parameters)


def deployed_flow(org_id: str, name: str) -> Flow:
    """Raises Invalid (there is none), Conflict (nothing of it is deployed)."""
    found = Flow.objects.select_related("latest", "latest__flow").filter(organization=org_id, name=name).first()
    if found is None:
        raise Invalid.field("flow", f"there is no flow {name!r} in {org_id}")
    if found.latest is None:
        raise _nothing_deployed(found)
    return found


def start_scheduled(schedule: Schedule, moment: datetime) -> Run:
    """A run for a time of a schedule. Raises Invalid: its parameters are wrong for the flow's latest version."""
    check_parameters(schedule.flow, schedule.parameters)
    return _start(
        schedule.flow,
        Action.RUN_TRIGGERED,
        actor=SYSTEM,
        via="schedule",
        parameters=schedule.parameters,
        schedule_id=schedule.pk,
        scheduled_for=moment,
    )


@transaction.atomic
def retry(*, actor: Actor, run_id: uuid.UUID, from_failure: bool = False, via: str = "api") -> Run:
    """A new run of the same version with the same parameters. `from_failure` takes over the outputs of the tasks that
    succeeded, and runs only the others.

    Raises PermissionDenied, NotFound; Conflict (it goes on; it has succeeded, and nothing failed; its code is not
    here; the organization is suspended).
    """
    run = selectors.get_run(actor, run_id, Permission.RUNS_TRIGGER)
    if not run.is_final:
        raise Conflict("The run goes on: wait for its end, or cancel it first.")
    if run.deployment is None:
        raise Conflict(
            f"It was run on somebody's own machine, and its code is not here: `dagy deploy` {run.flow.name}."
        )
    if from_failure and run.status == RunStatus.SUCCEEDED:
        raise Conflict("The run has succeeded: there is no failure to go on from. Run it again as a whole.")
    again = {"parameters": run.parameters, "retry_of": run, "reuses_outputs": from_failure}
    return _start(run.flow, Action.RUN_RETRIED, actor=actor, via=via, deployment=run.deployment, **again)


def _start(
    flow: Flow, action: Action, *, actor: Actor, via: str, deployment: Deployment | None = None, **columns: Any
) -> Run:
    if suspensions_of([flow.organization_id]):
        raise Conflict(f"{flow.organization_id} is suspended: its flows don't run until that is lifted.")
    version = deployment or flow.latest
    if version is None:
        raise _nothing_deployed(flow)
    run = Run.objects.create(
        organization_id=flow.organization_id,
        flow=flow,
        deployment=version,
        queue=version.queue,
        trigger=via,
        triggered_by=actor.email or actor.kind,
        **columns,
    )
    record(
        action,
        actor=actor,
        resource_type="run",
        resource_id=str(run.pk),
        resource_name=flow.name,
        org_id=flow.organization_id,
        after=run.snapshot() | {"parameters": run.parameters},
    )
    transaction.on_commit(lambda: hand_over(run), robust=True)
    return run


def _nothing_deployed(flow: Flow) -> Conflict:
    return Conflict(f"Nothing of {flow.name} is deployed: `dagy deploy` sends its code.")


def hand_over(run: Run, *, expires: float | None = None) -> None:
    """To a worker. Where the broker is down, beat finds the run and tries again."""
    queue = "runs" if run.queue == DEFAULT_QUEUE else f"runs.{run.queue}"
    current_app.send_task("runs.execute", args=[str(run.pk)], queue=queue, expires=expires)


def check_parameters(flow: Flow, parameters: dict[str, Any]) -> None:
    """By their names, as the flow's latest version has them. Raises Invalid."""
    graph = flow.latest.graph if flow.latest else {"parameters": []}
    known = {parameter["name"]: parameter for parameter in graph["parameters"]}
    errors = [
        FieldError(f"parameters.{name}", f"is unknown: {flow.name} takes {', '.join(known) or 'none'}")
        for name in parameters
        if name not in known
    ]
    errors += [
        FieldError(f"parameters.{name}", "is missing")
        for name, parameter in known.items()
        if parameter["required"] and name not in parameters
    ]
    errors += [
        FieldError(
            f"parameters.{name}", "holds what can't be kept: NUL, half a character, or over 50 levels of nesting"
        )
        for name, value in parameters.items()
        if not _is_keepable([name, value])
    ]
    if errors:
        raise Invalid("The flow can't be called with these parameters.", errors=errors)


def _is_keepable(value: Any, depth: int = 0) -> bool:
    if depth > 50:
        return False
    if isinstance(value, str):
        return is_storable(value)
    parts = [*value.keys(), *value.values()] if isinstance(value, dict) else value if isinstance(value, list) else []
    return all(_is_keepable(part, depth + 1) for part in parts)

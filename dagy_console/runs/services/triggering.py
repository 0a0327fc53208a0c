"""Starting runs."""

import uuid
from typing import Any

from celery import current_app
from django.db import transaction

from dagy_console.accounts.selectors import suspensions_of
from dagy_console.audit.actions import Action
from dagy_console.audit.recorder import record
from dagy_console.core.actors import Actor
from dagy_console.core.errors import Conflict, FieldError, Invalid
from dagy_console.core.forms import is_storable
from dagy_console.core.permissions import Permission
from dagy_console.runs import selectors
from dagy_console.runs.models import Deployment, Flow, Run, RunStatus

QUEUE = "runs"


@transaction.atomic
def trigger(*, actor: Actor, org_id: str, flow: str, parameters: dict[str, Any], via: str = "api") -> Run:
    """A run of a flow's latest version, by the flow's name. A worker takes it once this is committed.

    Parameters are checked by their names here, and by their types where the flow's code is.
    Raises PermissionDenied; Invalid (no such flow, wrong parameters); Conflict (nothing is deployed, or the
    organization is suspended).
    """
    actor.require(Permission.RUNS_TRIGGER, org_id=org_id)
    found = Flow.objects.select_related("latest").filter(organization=org_id, name=flow).first()
    if found is None:
        raise Invalid.field("flow", f"there is no flow {flow!r} in {org_id}")
    if found.latest is None:
        raise Conflict(f"Nothing of {flow} is deployed: `dagy deploy` sends its code.")
    _check_names(found.latest, parameters)
    return _start(found, found.latest, Action.RUN_TRIGGERED, actor=actor, via=via, parameters=parameters)


@transaction.atomic
def retry(*, actor: Actor, run_id: uuid.UUID, from_failure: bool = False, via: str = "api") -> Run:
    """A new run of the same version with the same parameters. `from_failure` takes over the outputs of the tasks that
    succeeded, and runs only the others.

    Raises PermissionDenied, NotFound; Conflict (it goes on; it has succeeded, and nothing failed; the organization is
    suspended).
    """
    run = selectors.get_run(actor, run_id, Permission.RUNS_TRIGGER)
    if not run.is_final:
        raise Conflict("The run goes on: wait for its end, or cancel it first.")
    if from_failure and run.status == RunStatus.SUCCEEDED:
        raise Conflict("The run has succeeded: there is no failure to go on from. Run it again as a whole.")
    again = {"parameters": run.parameters, "retry_of": run, "reuses_outputs": from_failure}
    return _start(run.flow, run.deployment, Action.RUN_RETRIED, actor=actor, via=via, **again)


def _start(flow: Flow, deployment: Deployment, action: Action, *, actor: Actor, via: str, **columns: Any) -> Run:
    if suspensions_of([flow.organization_id]):
        raise Conflict(f"{flow.organization_id} is suspended: its flows don't run until that is lifted.")
    run = Run.objects.create(
        organization_id=flow.organization_id,
        flow=flow,
        deployment=deployment,
        trigger=via,
        triggered_by=actor.email,
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


def hand_over(run: Run, *, expires: float | None = None) -> None:
    """To a worker. Where the broker is down, beat finds the run and tries again."""
    current_app.send_task("runs.execute", args=[str(run.pk)], queue=QUEUE, expires=expires)


def _check_names(deployment: Deployment, parameters: dict[str, Any]) -> None:
    known = {parameter["name"]: parameter for parameter in deployment.graph["parameters"]}
    errors = [
        FieldError(f"parameters.{name}", f"is unknown: {deployment.flow.name} takes {', '.join(known) or 'none'}")
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

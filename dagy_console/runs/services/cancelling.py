"""Cancelling runs."""

import uuid

from django.db import transaction
from django.utils import timezone

from dagy_console.audit.actions import Action
from dagy_console.audit.recorder import record
from dagy_console.core.actors import Actor
from dagy_console.core.errors import Conflict
from dagy_console.core.permissions import Permission
from dagy_console.runs import selectors
from dagy_console.runs.models import Run, RunStatus


@transaction.atomic
def cancel(*, actor: Actor, run_id: uuid.UUID, reason: str = "") -> Run:
    """A run that waits is cancelled at once; one that goes on is CANCELLING until its worker has ended it.

    A second time changes nothing, and is no error. Raises PermissionDenied, NotFound, Conflict (it has ended).
    """
    run = selectors.get_run(actor, run_id, Permission.RUNS_CANCEL)
    before = run.snapshot()
    now = timezone.now()
    told = f"cancelled by {actor.email}{f': {reason}' if reason else ''}"
    rows = Run.objects.filter(pk=run.pk)
    if not (
        rows.filter(status=RunStatus.QUEUED).update(
            status=RunStatus.CANCELLED, reason=told, cancel_requested_at=now, ended_at=now
        )
        or rows.filter(status=RunStatus.RUNNING).update(
            status=RunStatus.CANCELLING, reason=told, cancel_requested_at=now
        )
    ):
        run.refresh_from_db()
        if run.is_final:
            raise Conflict(f"The run has ended already: {run.status}.")
        return run
    run.refresh_from_db()
    record(
        Action.RUN_CANCELLED,
        actor=actor,
        resource_type="run",
        resource_id=str(run.pk),
        resource_name=run.flow.name,
        org_id=run.organization_id,
        before=before,
        after=run.snapshot(),
        reason=reason,
    )
    return run

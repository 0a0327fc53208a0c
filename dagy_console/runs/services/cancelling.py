"""Cancelling runs."""

import uuid
from contextlib import suppress

from django.db import transaction
from django.utils import timezone

from dagy_console.audit.actions import Action
from dagy_console.audit.recorder import record
from dagy_console.core import leases
from dagy_console.core.actors import Actor
from dagy_console.core.errors import Conflict
from dagy_console.core.permissions import Permission
from dagy_console.runs import ending, selectors
from dagy_console.runs.models import Run, RunStatus


@transaction.atomic
def cancel(*, actor: Actor, run_id: uuid.UUID, reason: str = "") -> Run:
    """A run that waits, or whose worker is gone, is cancelled at once; one that goes on is CANCELLING until its worker
    has ended it.

    A second time changes nothing of a run that goes on, and is no error. Raises PermissionDenied, NotFound, Conflict
    (it has ended).
    """
    run = selectors.get_run(actor, run_id, Permission.RUNS_CANCEL)
    stopped = stop(run, actor=actor, reason=reason)
    if not stopped and run.is_final:
        raise Conflict(f"The run has ended already: {run.status}.")
    return run


def stop(run: Run, *, actor: Actor, reason: str = "") -> bool:
    """The same, of a run that the actor may cancel; False where it changed nothing. Leaves `run` as it is now."""
    before = run.snapshot()
    asked = _ask(run, f"cancelled{f' by {actor.email}' if actor.email else ''}{f': {reason}' if reason else ''}")
    abandoned = Run.objects.filter(leases.free(), pk=run.pk, status=RunStatus.CANCELLING)
    ended = False
    with suppress(leases.Lost):
        ending.finish(run, abandoned, RunStatus.CANCELLED)
        ended = True
    run.refresh_from_db()
    if not asked:
        return ended
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
    return True


def _ask(run: Run, told: str) -> bool:
    rows = Run.objects.filter(pk=run.pk)
    now = timezone.now()
    asked = {"reason": told[:2000], "cancel_requested_at": now}
    if rows.filter(status=RunStatus.QUEUED).update(status=RunStatus.CANCELLED, ended_at=now, **asked):
        return True
    return bool(rows.filter(status=RunStatus.RUNNING).update(status=RunStatus.CANCELLING, **asked))

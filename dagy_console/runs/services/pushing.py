"""Taking a run that somebody has run on a machine of their own, so that others read it on the same page."""

import tempfile
import uuid
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from dagy.local.packing import MAX_BYTES as MAX_BYTES  # what the SDK sends at most is what is taken
from dagy_console.accounts.models import Organization
from dagy_console.audit.actions import Action
from dagy_console.audit.recorder import record
from dagy_console.core import artifacts
from dagy_console.core.actors import Actor
from dagy_console.core.errors import Conflict, Invalid, Unavailable
from dagy_console.core.permissions import Permission
from dagy_console.runs import bundles, ending, pushed
from dagy_console.runs.journal import Journal, failure_of, moment
from dagy_console.runs.models import LOCAL, Flow, Run, RunStatus, artifact_key
from dagy_console.runs.pushed import PushedRun
from dagy_console.runs.watching import MAX_ARTIFACT_BYTES, Uploads


def push(*, actor: Actor, org_id: str, archive: bytes, sha256: str) -> Run:
    """The run in the archive, under its own id, with its tasks, log and artifacts. One that is here already is answered
    as it is.

    Raises PermissionDenied; Invalid (the archive is not right); Conflict (the id is another run's); Unavailable.

    S3 is asked before the transaction begins: a server that hangs must not hold one.
    """
    actor.require(Permission.RUNS_TRIGGER, org_id=org_id)
    if not Organization.objects.filter(pk=org_id).exists():
        raise Invalid.field("org_id", f"there is no organization {org_id}")
    bundles.checked_archive(archive, sha256)
    with tempfile.TemporaryDirectory(prefix="dagy-pushed-") as name:
        bundles.unpack(archive, Path(name))
        told = pushed.read(Path(name))
        known = _known(told, org_id)
        if known is not None:
            return known
        _keep_artifacts(told, org_id)
        return _keep(told, actor, org_id)


def _known(told: PushedRun, org_id: str) -> Run | None:
    known = Run.objects.filter(pk=told.run_id).first()
    if known is not None and (known.organization_id, known.trigger) != (org_id, LOCAL):
        raise Conflict(f"There is another run {told.run_id} here.")
    return known


def _keep_artifacts(told: PushedRun, org_id: str) -> None:
    run = Run(pk=told.run_id, organization_id=org_id)
    journal = Journal(run, uuid.uuid4())
    for message in told.tasks:
        journal.take(message)
    with Uploads() as uploads:
        for task_id, kept in journal.artifacts:
            data = told.artifact(task_id, kept["name"])
            if data is None or len(data) > MAX_ARTIFACT_BYTES:
                continue
            if not settings.ARTIFACTS_BUCKET:
                raise Unavailable("Artifacts are not kept here: DAGY_ARTIFACTS_BUCKET is not set.")
            content_type = str(kept.get("content_type"))[:100].encode("ascii", "ignore").decode()
            key = artifact_key(run, task_id, kept["name"])
            uploads.add(kept["name"], task_id, partial(artifacts.save, key, data, content_type=content_type))
        for name, _, reason in uploads.failures():
            raise Unavailable(f"{name!r} could not be kept: {reason} Push the run again.")


@transaction.atomic
def _keep(told: PushedRun, actor: Actor, org_id: str) -> Run:
    """Written as a worker writes what a run's process tells, so that it is believed no more than that is."""
    flow, _ = Flow.objects.get_or_create(organization_id=org_id, name=told.flow)
    token = uuid.uuid4()
    run, made = Run.objects.get_or_create(
        pk=told.run_id,
        defaults={
            "organization_id": org_id,
            "flow": flow,
            "status": RunStatus.RUNNING,
            "trigger": LOCAL,
            "triggered_by": actor.email or actor.kind,
            "parameters": _dict(told.record.get("parameters")),
            "worker": _worker(told),
            "executions": 1,
            "lease_owner": token,
        },
    )
    if not made:  # pushed twice at the same time
        return run
    journal = Journal(run, token)
    for message in told.messages:
        journal.take(message)
        if journal.is_full:
            journal.flush()
    journal.flush()
    ending.finish(
        run,
        Run.objects.filter(pk=run.pk, lease_owner=token),
        told.status,
        reason=told.record.get("reason"),
        failure=failure_of(told.record.get("failure")),
    )
    began, ended = _time(told, "started_at"), _time(told, "ended_at")
    Run.objects.filter(pk=run.pk).update(created_at=began, started_at=began, ended_at=max(began, ended))
    run.refresh_from_db()
    record(
        Action.RUN_PUSHED,
        actor=actor,
        resource_type="run",
        resource_id=str(run.pk),
        resource_name=flow.name,
        org_id=org_id,
        after=run.snapshot(),
    )
    return run


def _time(told: PushedRun, name: str) -> datetime:
    """By the clock of somebody's machine: nothing has happened later than now."""
    now = timezone.now()
    return min(moment(told.record.get(name)) or now, now)


def _worker(told: PushedRun) -> str:
    process = _dict(told.record.get("process"))
    return f"{process.get('host') or 'a machine'}:{process.get('pid') or '?'}"[:200]


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}

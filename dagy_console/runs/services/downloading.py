"""Handing out the artifacts of a run."""

import re
import uuid

from django.conf import settings
from django.db import transaction

from dagy_console.audit.actions import Action
from dagy_console.audit.recorder import record
from dagy_console.core import storage
from dagy_console.core.actors import Actor
from dagy_console.core.downloads import Download, link_to
from dagy_console.runs import selectors
from dagy_console.runs.models import artifact_key

_ODD = re.compile(r"[^A-Za-z0-9._-]+")


def start_download(*, actor: Actor, run_id: uuid.UUID, task_id: str, name: str) -> Download:
    """A link to an artifact, on record.

    Raises PermissionDenied, NotFound (also where the object has gone), Unavailable.

    S3 is asked before the transaction begins: a server that hangs must not hold one.
    """
    run = selectors.get_run(actor, run_id)
    selectors.get_artifact(run, task_id, name)
    key = artifact_key(run, task_id, name)
    storage.check_object(settings.ARTIFACTS_BUCKET, key)
    filename = _ODD.sub("_", name).strip("_") or "artifact"
    link = link_to(settings.ARTIFACTS_BUCKET, key, filename=filename, content_type="application/octet-stream")
    with transaction.atomic():
        record(
            Action.ARTIFACT_DOWNLOADED,
            actor=actor,
            resource_type="run",
            resource_id=str(run.pk),
            resource_name=run.flow.name,
            org_id=run.organization_id,
            after={"task_id": task_id, "name": name, "expires_at": link.expires_at},
        )
    return link

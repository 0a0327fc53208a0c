"""Handing a trace out, on record: a presigned link of 15 minutes, or what is shown of it."""

import re
from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from dagy_console.audit.actions import Action
from dagy_console.audit.models import AuditEntry
from dagy_console.audit.recorder import record
from dagy_console.core.actors import Actor
from dagy_console.core.downloads import Download, link_to
from dagy_console.core.permissions import Permission
from dagy_console.exceptions.bucket import traces_bucket
from dagy_console.exceptions.models import Trace
from dagy_console.exceptions.trace.stored import downloadable

# Who reads a trace, leafs through it and comes back leaves one entry.
READING = timedelta(hours=1)


def start_download(*, actor: Actor, key: str) -> Download:
    """Raises PermissionDenied, NotFound (also where the object has gone from S3), Unavailable.

    S3 is asked before the transaction begins: a server that hangs must not hold one.
    """
    trace = downloadable(actor, key)
    filename = _filename(trace)
    link = link_to(traces_bucket(), key, filename=filename)
    with transaction.atomic():
        record(
            Action.TRACE_DOWNLOADED,
            actor=actor,
            resource_type="trace",
            resource_id=key,
            resource_name=trace.exception_type,
            org_id=trace.org_id,
            after={"filename": filename, "expires_at": link.expires_at},
        )
    return link


@transaction.atomic
def record_reading(*, actor: Actor, key: str) -> None:
    """That the actor was shown the trace: once an hour, however often."""
    actor.require(Permission.EXCEPTIONS_READ)
    trace = Trace.objects.filter(key=key).first()
    noted = AuditEntry.objects.filter(
        resource_type="trace",
        resource_id=key,
        action=Action.TRACE_READ,
        actor_id=actor.id,
        at__gt=timezone.now() - READING,
    )
    if not noted.exists():
        record(
            Action.TRACE_READ,
            actor=actor,
            resource_type="trace",
            resource_id=key,
            resource_name=trace.exception_type if trace else "",
            org_id=trace.org_id if trace else "",
        )


def _filename(trace: Trace) -> str:
    """Readable, and safe in a header and on every file system: `ValueError_org_123_20260115T103000Z_abc-123.json`."""
    parts = [trace.exception_type[-60:], trace.org_id, f"{trace.timestamp:%Y%m%dT%H%M%SZ}", trace.request_id[:60]]
    return "_".join(filter(None, (re.sub(r"[^A-Za-z0-9.-]+", "_", part).strip("_.") for part in parts))) + ".json"

"""Handing a trace out: a presigned link of 15 minutes, recorded in the audit log."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from dagy_console.audit.actions import Action
from dagy_console.audit.recorder import record
from dagy_console.core import storage
from dagy_console.core.actors import Actor
from dagy_console.core.permissions import Permission
from dagy_console.exceptions import selectors
from dagy_console.exceptions.bucket import traces_bucket
from dagy_console.exceptions.models import Trace


@dataclass(frozen=True, slots=True)
class Download:
    """A link that needs no sign-in until `expires_at`; `expires_in` is in seconds."""

    url: str
    filename: str
    expires_in: int
    expires_at: datetime


@transaction.atomic
def start_download(*, actor: Actor, key: str) -> Download:
    """Raises PermissionDenied, NotFound (also where the object has gone from S3), Unavailable."""
    actor.require(Permission.EXCEPTIONS_DOWNLOAD)
    trace = selectors.get_trace(actor, key)
    storage.check_object(traces_bucket(), key)
    filename = _filename(trace)
    expires_at = timezone.now() + timedelta(seconds=settings.DOWNLOAD_SECONDS)
    url = storage.presigned_download(traces_bucket(), key, filename=filename)
    record(
        Action.TRACE_DOWNLOADED,
        actor=actor,
        resource_type="trace",
        resource_id=key,
        resource_name=trace.exception_type,
        org_id=trace.org_id,
        after={"filename": filename, "expires_at": expires_at},
    )
    return Download(url, filename, settings.DOWNLOAD_SECONDS, expires_at)


def _filename(trace: Trace) -> str:
    """Readable, and safe in a header and on every file system: `ValueError_org_123_20260115T103000Z_abc-123.json`."""
    parts = [trace.exception_type[-60:], trace.org_id, f"{trace.timestamp:%Y%m%dT%H%M%SZ}", trace.request_id[:60]]
    return "_".join(filter(None, (re.sub(r"[^A-Za-z0-9.-]+", "_", part).strip("_.") for part in parts))) + ".json"

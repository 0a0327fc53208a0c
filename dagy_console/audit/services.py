"""Entries that no other service writes."""

from django.db import transaction
from django.http import HttpRequest

from dagy_console.audit.actions import Action, Outcome
from dagy_console.audit.recorder import record
from dagy_console.core.actors import Actor
from dagy_console.core.errors import PermissionDenied


def record_denial(request: HttpRequest, error: PermissionDenied) -> None:
    """Note that the caller was refused. Called by the one place that answers refusals."""
    actor: Actor | None = getattr(request, "actor", None)
    if actor is None:
        return
    with transaction.atomic():
        record(
            Action.PERMISSION_DENIED,
            actor=actor,
            resource_type="permission",
            resource_id=error.permission,
            resource_name=f"{request.method} {request.path}"[:500],
            outcome=Outcome.DENIED,
        )

"""Deciding about a group."""

from django.db import transaction
from django.utils import timezone

from dagy_console.audit.actions import Action
from dagy_console.core.actors import Actor
from dagy_console.core.errors import Invalid
from dagy_console.core.forms import is_storable
from dagy_console.core.permissions import Permission
from dagy_console.exceptions.groups.selectors import get_group
from dagy_console.exceptions.index.grouping import record_status
from dagy_console.exceptions.models import GroupStatus, TraceGroup

MAX_NOTE = 2_000


@transaction.atomic
def set_status(*, actor: Actor, fingerprint: str, status: str | None = None, note: str | None = None) -> TraceGroup:
    """Open, resolve or ignore a group, with a note; None leaves what it is. Where nothing changes, nothing is recorded.

    A resolved group is reopened by its next trace. Raises PermissionDenied, NotFound, Invalid.
    """
    actor.require(Permission.EXCEPTIONS_WRITE)
    _check(status, note)
    group = get_group(actor, fingerprint)
    group = TraceGroup.objects.select_for_update().get(pk=group.pk)
    before = group.snapshot()
    if status is not None and status != group.status:
        group.status, group.status_at, group.status_by = status, timezone.now(), actor.email
        group.regressed_at = None
    group.note = group.note if note is None else note.strip()
    if group.snapshot() == before:
        return group
    group.save(update_fields=["status", "status_at", "status_by", "regressed_at", "note"])
    record_status(Action.GROUP_CHANGED, group, actor=actor, before=before, reason=group.note)
    return group


def _check(status: str | None, note: str | None) -> None:
    if status is None and note is None:
        raise Invalid("Give a status, a note, or both: nothing was changed.")
    if status is not None and status not in GroupStatus.values:
        raise Invalid.field("status", f"one of {', '.join(GroupStatus.values)}")
    if note is not None and not is_storable(note):
        raise Invalid.field("note", "holds characters that are no valid text")
    if note is not None and len(note) > MAX_NOTE:
        raise Invalid.field("note", f"at most {MAX_NOTE:,} characters; this has {len(note):,}")

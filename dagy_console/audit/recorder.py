"""The only writer of the audit log."""

import os
import uuid
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from django.db import connection
from django.utils import timezone

from dagy_console.audit.actions import Action, Nature, Outcome
from dagy_console.audit.masking import masked
from dagy_console.audit.models import AuditEntry
from dagy_console.core.actors import Actor
from dagy_console.core.errors import ConsoleError
from dagy_console.core.partitions import ensure_partitions


class NotInTransaction(RuntimeError):
    """An entry must share the transaction of what it records."""


class NotWhileImpersonating(ConsoleError):
    """Raised where the deed would be recorded, so that none is done: the caller's transaction is rolled back."""

    status = 403
    title = "Not while you act as somebody else"


def record(
    action: Action,
    *,
    actor: Actor,
    resource_type: str,
    resource_id: str = "",
    resource_name: str = "",
    org_id: str | None = None,
    outcome: Outcome = Outcome.SUCCESS,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    reason: str = "",
) -> AuditEntry:
    """Write one entry in the transaction that is open.

    `before` and `after` are snapshots of the resource, read from the database; secrets in them are masked here.
    Raises NotInTransaction: what is not in a transaction with its entry could happen without it. Raises
    NotWhileImpersonating: who looks on read-only changes nothing, and nobody changes the keys of who they act as.
    """
    if not connection.in_atomic_block:
        raise NotInTransaction(f"{action}: open a transaction around the change and its audit entry")
    refuse_impersonator(action, actor)
    at = timezone.now()
    org_id = actor.org_id if org_id is None else org_id
    ensure_partitions(AuditEntry._meta.db_table, at)
    before, after = masked(before), masked(after)
    return AuditEntry.objects.create(
        id=_time_ordered_uuid(at),
        at=at,
        action=action,
        outcome=outcome,
        actor_kind=actor.kind,
        actor_id=actor.id,
        actor_email=actor.email,
        actor_role=actor.role_in(org_id),
        impersonator_id=actor.impersonator.id if actor.impersonator else "",
        impersonator_email=actor.impersonator.email if actor.impersonator else "",
        org_id=org_id,
        resource_type=resource_type,
        resource_id=resource_id,
        resource_name=resource_name,
        before=before,
        after=after,
        changes=_changes(before, after),
        ip=actor.origin.ip,
        user_agent=actor.origin.user_agent[:500],
        request_id=actor.origin.request_id,
        session_id=actor.credential,
        reason=reason,
    )


def refuse_impersonator(action: Action, actor: Actor) -> None:
    """Raise NotWhileImpersonating where the actor is somebody else in truth, who may not do this as them."""
    by = actor.impersonator
    if by is None or action.nature is Nature.READS:
        return
    if action.nature is Nature.CREDENTIALS:
        raise NotWhileImpersonating(
            f"Passwords, second factors, tokens and keys of {actor.email} are theirs alone. Nothing was changed."
        )
    if by.read_only:
        raise NotWhileImpersonating(
            f"You look at this as {actor.email}, read-only. Nothing was changed; end the impersonation, or begin one "
            "that may act."
        )


def record_for_each_organization(action: Action, *, actor: Actor, **fields: Any) -> None:
    """What somebody did as a person, not in one organization: an entry in each that they belong to, else one in none.

    The readers of each organization's log see it, and nothing of the others. `fields` are those of `record()`.
    """
    record_in_each(action, actor=actor, org_ids=actor.org_ids, **fields)


def record_in_each(action: Action, *, actor: Actor, org_ids: Iterable[str], **fields: Any) -> None:
    """An entry in each of these organizations, else one in none: what their readers may all know."""
    for org_id in sorted(org_ids) or [""]:
        record(action, actor=actor, org_id=org_id, **fields)


def _changes(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> dict[str, list[Any]] | None:
    """Field -> [before, after], for the fields that differ."""
    if before is None or after is None:
        return None
    fields = sorted(before.keys() | after.keys())
    return {name: [before.get(name), after.get(name)] for name in fields if before.get(name) != after.get(name)}


def _time_ordered_uuid(at: datetime) -> uuid.UUID:
    """A version 7 UUID (RFC 9562): milliseconds, then random bits, so that ids sort as the entries were written."""
    milliseconds = int(at.astimezone(UTC).timestamp() * 1000)
    value = milliseconds << 80 | int.from_bytes(os.urandom(10))
    value = value & ~(0xF << 76) | 0x7 << 76
    return uuid.UUID(int=value & ~(0x3 << 62) | 0x2 << 62)

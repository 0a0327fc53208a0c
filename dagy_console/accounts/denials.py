"""Refusals, as the audit log keeps them: the first of a minute at once, the rest of that minute as one entry."""

import json
from typing import Any

from django.db import connection, transaction
from django.db.models.functions import Now, TruncMinute
from django.http import HttpRequest

from dagy_console.accounts.models import DenialCount
from dagy_console.audit.actions import Action, Outcome
from dagy_console.audit.recorder import record
from dagy_console.core.actors import Actor
from dagy_console.core.errors import PermissionDenied
from dagy_console.core.times import to_rfc3339

# One row an actor, permission, organization and minute; the newest refusal's origin stands for them all.
_COUNT = """
INSERT INTO accounts_denialcount (minute, actor_key, permission, org_id, count, actor, request, first_at, last_at)
VALUES (date_trunc('minute', now()), %s, %s, %s, 1, %s, %s, now(), now())
ON CONFLICT (minute, actor_key, permission, org_id) DO UPDATE
SET count = accounts_denialcount.count + 1, actor = EXCLUDED.actor, request = EXCLUDED.request, last_at = now()
RETURNING count
"""


def record_denial(request: HttpRequest, error: PermissionDenied) -> None:
    """Note that the caller was refused. Called by the one place that answers refusals.

    It belongs to the organization in which it was refused, where the caller is of it; else to each of the caller's.
    """
    actor: Actor | None = getattr(request, "actor", None)
    if actor is None:
        return
    asked = f"{request.method} {request.path}"[:500]
    org_ids = [error.org_id] if error.org_id in actor.org_ids else actor.org_ids
    with transaction.atomic():
        for org_id in org_ids or [""]:
            if _count(actor, error.permission, org_id, asked) == 1:
                _record(actor, error.permission, org_id, asked, {"count": 1})


@transaction.atomic
def record_counted_denials() -> None:
    """Write what the minutes that are over have counted beyond their first refusal, and forget the counts.

    Two that run at once share the rows between them.
    """
    over = DenialCount.objects.filter(minute__lt=TruncMinute(Now())).select_for_update(skip_locked=True)
    for row in over:
        if row.count > 1:
            times = {"first": to_rfc3339(row.first_at), "last": to_rfc3339(row.last_at)}
            told = {"count": row.count - 1} | times
            _record(Actor.from_description(row.actor), row.permission, row.org_id, row.request, told)
        row.delete()


def _count(actor: Actor, permission: str, org_id: str, asked: str) -> int:
    impersonator = actor.impersonator.id if actor.impersonator else ""
    key = f"{actor.kind}:{actor.id}:{impersonator}"
    with connection.cursor() as cursor:
        cursor.execute(_COUNT, [key, permission, org_id, json.dumps(actor.described()), asked])
        count: int = cursor.fetchone()[0]
        return count


def _record(actor: Actor, permission: str, org_id: str, asked: str, after: dict[str, Any]) -> None:
    record(
        Action.PERMISSION_DENIED,
        actor=actor,
        resource_type="permission",
        resource_id=permission,
        resource_name=asked,
        org_id=org_id,
        outcome=Outcome.DENIED,
        after=after,
    )

"""Keeping alerts quiet for a while, and ending that early."""

import uuid
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from dagy_console.alerts import scope
from dagy_console.alerts.models import Severity, Silence
from dagy_console.alerts.silences import selectors
from dagy_console.alerts.silences.matchers import LONGEST_REASON, keys
from dagy_console.audit.actions import Action
from dagy_console.audit.recorder import record
from dagy_console.core.actors import Actor
from dagy_console.core.errors import Conflict, Invalid
from dagy_console.core.forms import is_storable
from dagy_console.core.permissions import Permission
from dagy_console.core.times import to_rfc3339
from dagy_console.listing.language import Term

MOST_MATCHERS, LONGEST = 10, timedelta(days=92)


@transaction.atomic
def create_silence(
    *,
    actor: Actor,
    org_id: str,
    matchers: Iterable[Term],
    until: datetime,
    reason: str,
    starts_at: datetime | None = None,
) -> Silence:
    """Alerts that match fire and are not told, until then; what still fires then is. `org_id` "" is for the platform's
    rules, which only its staff may. Raises PermissionDenied, Invalid."""
    scope.require(actor, org_id)
    organization = scope.organization(org_id, is_held=False)
    now = timezone.now()
    starts_at = max(now, starts_at or now)
    terms = _checked(list(matchers))
    if not 1 <= len(reason.strip()) <= LONGEST_REASON or not is_storable(reason):
        raise Invalid.field("reason", f"write 1 to {LONGEST_REASON} characters: who reads it at night wants to know")
    if not starts_at < until <= starts_at + LONGEST:
        raise Invalid.field("until", f"must be after it begins, and no more than {LONGEST.days} days after")
    silence = Silence.objects.create(
        organization=organization,
        matchers=[{"key": term.key, "value": term.value, "negated": term.negated} for term in terms],
        text=" ".join(term.text for term in terms),
        reason=reason.strip(),
        starts_at=starts_at,
        until=until,
        created_by=actor.email,
    )
    _record(Action.SILENCE_CREATED, silence, actor=actor, after=snapshot(silence))
    return silence


@transaction.atomic
def end_silence(*, actor: Actor, silence_id: uuid.UUID) -> Silence:
    """Now: what still fires is told at the next check. Raises PermissionDenied, NotFound, Conflict (it is over)."""
    known = selectors.get_silence(actor, silence_id, Permission.NOTIFICATIONS_WRITE)
    silence = Silence.objects.select_for_update(of=("self",)).get(pk=known.pk)
    now = timezone.now()
    if silence.until <= now:
        raise Conflict("It is over already.")
    before = snapshot(silence)
    silence.until, silence.ended_by = now, actor.email
    silence.save(update_fields=["until", "ended_by"])
    _record(Action.SILENCE_ENDED, silence, actor=actor, before=before, after=snapshot(silence))
    return silence


def snapshot(silence: Silence) -> dict[str, Any]:
    """For the record."""
    return {
        "matchers": silence.text,
        "reason": silence.reason,
        "starts_at": to_rfc3339(silence.starts_at),
        "until": to_rfc3339(silence.until),
    }


def _checked(terms: list[Term]) -> list[Term]:
    known = keys()
    if not 1 <= len(terms) <= MOST_MATCHERS or all(term.negated for term in terms):
        raise Invalid.field("matchers", f"write 1 to {MOST_MATCHERS}, one at least not negated: rule:* is all")
    for term in terms:
        if term.key not in known:
            raise Invalid.field("matchers", f"there is no key {term.key}; there are {', '.join(known)}")
        if not term.value.strip() or not is_storable(term.value):
            raise Invalid.field("matchers", f"{term.key} needs a value")
        if term.key == "severity" and term.value not in Severity.values:
            raise Invalid.field("matchers", f"severity must be one of {', '.join(Severity.values)}")
    return terms


def _record(action: Action, silence: Silence, *, actor: Actor, **told: Any) -> None:
    record(
        action,
        actor=actor,
        resource_type="silence",
        resource_id=str(silence.pk),
        resource_name=silence.text,
        org_id=silence.organization_id or "",
        reason=silence.reason,
        **told,
    )

"""Reading the audit log: only what the actor may see."""

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q, QuerySet

from dagy_console.audit.models import AuditEntry
from dagy_console.core.actors import Actor
from dagy_console.core.errors import NotFound
from dagy_console.core.paging import DEFAULT_LIMIT, Keyset, Page
from dagy_console.core.permissions import Permission

KEYSET = Keyset("at", "id")


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """What to look for; empty fields say nothing. `since` is inclusive, `until` exclusive."""

    action: str = ""
    actor: str = ""
    org_id: str = ""
    resource_type: str = ""
    resource_id: str = ""
    ip: str = ""
    request_id: str = ""
    outcome: str = ""
    since: datetime | None = None
    until: datetime | None = None

    def as_q(self) -> Q:
        exact = {
            "action": self.action,
            "actor_email": self.actor,
            "org_id": self.org_id,
            "resource_type": self.resource_type,
            "resource_id": self.resource_id,
            "ip": self.ip,
            "request_id": self.request_id,
            "outcome": self.outcome,
            "at__gte": self.since,
            "at__lt": self.until,
        }
        return Q(**{field: value for field, value in exact.items() if value})


def visible_to(actor: Actor) -> QuerySet[AuditEntry]:
    """Every entry for the platform's staff; for others those of the organizations whose audit log they may read."""
    actor.require_somewhere(Permission.AUDIT_READ)
    entries = AuditEntry.objects.all()
    return entries if actor.is_platform else entries.filter(org_id__in=actor.orgs_with(Permission.AUDIT_READ))


def list_entries(
    actor: Actor, wanted: AuditFilter, *, limit: int = DEFAULT_LIMIT, cursor: str = ""
) -> Page[AuditEntry]:
    return KEYSET.page(visible_to(actor).filter(wanted.as_q()), limit=limit, cursor=cursor)


def get_entry(actor: Actor, entry_id: str) -> AuditEntry:
    entry = visible_to(actor).filter(id=entry_id).first()
    if entry is None:
        raise NotFound("There is no such audit entry, or you may not see it.")
    return entry


def recent(actor: Actor, *, limit: int) -> list[AuditEntry]:
    return list(KEYSET.newest_first(visible_to(actor))[:limit])

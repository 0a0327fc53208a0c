"""Reading the audit log: only what the actor may see."""

from django.db.models import Case, F, GenericIPAddressField, Q, QuerySet, TextField, Value, When

from dagy_console.audit.models import AuditEntry
from dagy_console.audit.search import ENTRIES, MEMBERS_ENTRIES
from dagy_console.core.actors import Actor
from dagy_console.core.errors import NotFound
from dagy_console.core.permissions import Permission
from dagy_console.listing.language import Listing

STAFF = "Dagy staff"


def visible_to(actor: Actor) -> QuerySet[AuditEntry]:
    """Every entry for the platform's staff; for others those of the organizations whose audit log they may read.

    These see what the staff did to their organization, in their own name or as somebody else, and not who of the staff
    it was, nor from where: `shown_actor`, `shown_impersonator`, `shown_ip` and `shown_agent` are what may be shown.
    """
    actor.require_somewhere(Permission.AUDIT_READ)
    entries = AuditEntry.objects.defer("search_text")
    if actor.is_platform:
        return entries.annotate(
            shown_actor=F("actor_email"),
            shown_impersonator=F("impersonator_email"),
            shown_ip=F("ip"),
            shown_agent=F("user_agent"),
        )
    return as_members_see(entries.filter(org_id__in=actor.orgs_with(Permission.AUDIT_READ)))


def as_members_see(entries: QuerySet[AuditEntry]) -> QuerySet[AuditEntry]:
    """With `shown_actor` and the others, for MEMBERS_ENTRIES."""
    by_staff = When(actor_role="super_admin", then=Value(STAFF))
    from_staff = When(~Q(impersonator_id="") | Q(actor_role="super_admin"), then=None)
    return entries.annotate(
        shown_actor=Case(by_staff, default="actor_email", output_field=TextField()),
        shown_impersonator=Case(
            When(impersonator_id="", then=Value("")), default=Value(STAFF), output_field=TextField()
        ),
        shown_ip=Case(from_staff, default="ip", output_field=GenericIPAddressField()),
        shown_agent=Case(from_staff, default="user_agent", output_field=TextField()),
    )


def listing_for(actor: Actor) -> Listing:
    return ENTRIES if actor.is_platform else MEMBERS_ENTRIES


def get_entry(actor: Actor, entry_id: str) -> AuditEntry:
    entry = visible_to(actor).filter(id=entry_id).first()
    if entry is None:
        raise NotFound("There is no such audit entry, or you may not see it.")
    return entry


def recent(actor: Actor, *, limit: int, org_id: str = "") -> list[AuditEntry]:
    """The newest entries, of one organization where it is given."""
    rows = visible_to(actor)
    return list(ENTRIES.keyset.newest_first(rows.filter(org_id=org_id) if org_id else rows)[:limit])

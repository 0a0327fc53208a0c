"""`/audit-logs`."""

from typing import Any
from uuid import UUID

from ninja import Query, Schema

from dagy_console.audit import selectors
from dagy_console.audit.search import ENTRIES
from dagy_console.audit.serializers import entry_out
from dagy_console.core.api import PROBLEMS, ApiRequest, StrictRouter
from dagy_console.listing.api import ListParams, list_page

router = StrictRouter(tags=["audit"])


class AuditParams(ListParams, listing=ENTRIES):
    pass


class AuditPageOut(Schema):
    items: list[dict[str, Any]]
    next_cursor: str | None


@router.get("/audit-logs", response={200: AuditPageOut, **PROBLEMS})
def list_audit_entries(request: ApiRequest, params: Query[AuditParams]) -> dict[str, Any]:
    """Audit entries, newest first, as far as you may see them."""
    rows, listing = selectors.visible_to(request.actor), selectors.listing_for(request.actor)
    return list_page(listing, params, rows, out=entry_out)


@router.get("/audit-logs/{entry_id}", response={200: dict[str, Any], **PROBLEMS})
def get_audit_entry(request: ApiRequest, entry_id: UUID) -> dict[str, Any]:
    """One audit entry."""
    return entry_out(selectors.get_entry(request.actor, str(entry_id)))

"""`/audit-logs`."""

from typing import Any
from uuid import UUID

from ninja import Field, Query, Schema

from dagy_console.audit import selectors
from dagy_console.audit.serializers import entry_out
from dagy_console.core.api import PROBLEMS, ApiRequest, StrictRouter, Text
from dagy_console.listing.api import ListParams, list_page

router = StrictRouter(tags=["audit"])


class AuditParams(ListParams):
    action: Text = Field("", description="`*` is a wildcard, here and in the other fields.")
    actor: Text = Field("", description="The actor's email.")
    org_id: Text = ""
    resource_type: Text = ""
    resource_id: Text = ""
    ip: Text = Field("", description="An address, or a network like 203.0.113.0/24.")
    request_id: Text = ""
    outcome: Text = ""


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

"""`/audit-logs`."""

from typing import Any
from uuid import UUID

from ninja import Field, Query, Schema

from dagy_console.audit import selectors
from dagy_console.audit.forms import AuditFilterForm
from dagy_console.audit.serializers import entry_out
from dagy_console.core.api import PROBLEMS, ApiRequest, PageParams, StrictRouter
from dagy_console.core.forms import invalid

router = StrictRouter(tags=["audit"])


class AuditParams(PageParams):
    action: str = ""
    actor: str = Field("", description="The actor's email.")
    org_id: str = ""
    resource_type: str = ""
    resource_id: str = ""
    ip: str = ""
    request_id: str = ""
    outcome: str = ""
    since: str = Field("", alias="from", description="Absolute (RFC 3339) or relative (-15m, -24h, -7d); inclusive.")
    until: str = Field("", alias="to", description="Like `from`; exclusive.")


class AuditPageOut(Schema):
    items: list[dict[str, Any]]
    next_cursor: str | None


@router.get("/audit-logs", response={200: AuditPageOut, **PROBLEMS})
def list_audit_entries(request: ApiRequest, params: Query[AuditParams]) -> dict[str, Any]:
    """Audit entries, newest first, as far as you may see them."""
    form = AuditFilterForm(params.model_dump(by_alias=True))
    if not form.is_valid():
        raise invalid(form)
    page = selectors.list_entries(request.actor, form.wanted(), limit=params.limit, cursor=params.cursor)
    return {"items": [entry_out(entry) for entry in page.rows], "next_cursor": page.next_cursor}


@router.get("/audit-logs/{entry_id}", response={200: dict[str, Any], **PROBLEMS})
def get_audit_entry(request: ApiRequest, entry_id: UUID) -> dict[str, Any]:
    """One audit entry."""
    return entry_out(selectors.get_entry(request.actor, str(entry_id)))

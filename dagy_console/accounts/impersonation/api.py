"""`/admin/impersonations`."""

from typing import Any
from uuid import UUID

from ninja import Field, Query, Schema, Status

from dagy_console.accounts.impersonation import selectors, services
from dagy_console.accounts.impersonation.serializers import impersonation_out
from dagy_console.accounts.search import IMPERSONATIONS
from dagy_console.core.api import BODY_PROBLEMS, PROBLEMS, ApiRequest, BodyIn, StrictRouter, Text
from dagy_console.core.times import to_rfc3339
from dagy_console.listing.api import ListParams, list_page

router = StrictRouter(tags=["impersonations"])


class ImpersonationParams(ListParams, listing=IMPERSONATIONS):
    pass


class ImpersonationIn(BodyIn):
    email: Text = Field(max_length=254, description="Whom to act as: no super admin, nobody suspended.")
    reason: Text = Field(description="Why: 5 to 2,000 characters. The owners read it.")
    minutes: int = Field(15, description="15, 30 or 60.")
    read_only: bool = Field(True, description="False: whatever the person may change can be changed.")


class ImpersonationTokenOut(Schema):
    """`access_token` acts as the person until `expires_at`. It is shown this once."""

    id: str
    access_token: str
    expires_at: str


class ImpersonationOut(Schema):
    id: str
    impersonator: str
    user: str
    reason: str
    read_only: bool
    state: str
    started_at: str
    expires_at: str
    ended_at: str | None
    cause: str


class ImpersonationsOut(Schema):
    items: list[ImpersonationOut]
    next_cursor: str | None


@router.post("/admin/impersonations", idempotent=True, response={201: ImpersonationTokenOut, **BODY_PROBLEMS})
def start_impersonation(request: ApiRequest, body: ImpersonationIn) -> Status[dict[str, Any]]:
    """A token that acts as somebody else for a while."""
    impersonation, token = services.start(actor=request.actor, **body.model_dump())
    told = {"id": str(impersonation.pk), "access_token": token, "expires_at": to_rfc3339(impersonation.expires_at)}
    return Status(201, told)


@router.get("/admin/impersonations", response={200: ImpersonationsOut, **PROBLEMS})
def list_impersonations(request: ApiRequest, params: Query[ImpersonationParams]) -> dict[str, Any]:
    """Who acts, and acted, as whom; newest first."""
    return list_page(IMPERSONATIONS, params, selectors.visible_to(request.actor), out=impersonation_out)


@router.delete("/admin/impersonations/{impersonation_id}", response={204: None, **PROBLEMS})
def end_impersonation(request: ApiRequest, impersonation_id: UUID) -> Status[None]:
    """End it now, one's own or another's. Twice is no error."""
    services.end(actor=request.actor, impersonation_id=impersonation_id)
    return Status(204, None)

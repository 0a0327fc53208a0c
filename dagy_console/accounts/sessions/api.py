"""`/admin/sessions`."""

from dataclasses import asdict
from typing import Any

from ninja import Field, Query, Schema, Status

from dagy_console.accounts.search import SESSIONS
from dagy_console.accounts.sessions import selectors, services
from dagy_console.accounts.sessions.serializers import session_out
from dagy_console.core.api import BODY_PROBLEMS, PROBLEMS, ApiRequest, BodyIn, QueryParams, StrictRouter, Text
from dagy_console.core.permissions import Permission
from dagy_console.listing.api import ListParams, list_page

router = StrictRouter(tags=["sessions"])


class SessionParams(ListParams, listing=SESSIONS):
    pass


class SessionOut(Schema):
    id: int
    user: str
    super_admin: bool
    ip: str
    device: str
    user_agent: str
    signed_in_at: str
    last_seen_at: str


class SessionsOut(Schema):
    items: list[SessionOut]
    next_cursor: str | None


class EndParams(QueryParams):
    reason: Text = Field("", description="Why, for the record.")


class RevocationIn(BodyIn):
    """Exactly one of `email`, `org_id` and `super_admins`."""

    reason: Text = Field(description="Why: 5 to 2,000 characters, for the record.")
    email: Text = Field("", max_length=254)
    org_id: Text = Field("", max_length=64)
    super_admins: bool = False


class EndedOut(Schema):
    """How many ended."""

    sessions: int
    access_tokens: int
    impersonations: int


@router.get("/admin/sessions", response={200: SessionsOut, **PROBLEMS})
def list_sessions(request: ApiRequest, params: Query[SessionParams]) -> dict[str, Any]:
    """Who is signed in: newest sign-in first."""
    return list_page(SESSIONS, params, selectors.visible_to(request.actor), out=session_out)


# Before what takes an id in its place.
@router.post("/admin/sessions/revoke", idempotent=True, response={200: EndedOut, **BODY_PROBLEMS})
def revoke(request: ApiRequest, body: RevocationIn) -> dict[str, int]:
    """End all sessions, access tokens and impersonations of a person, of an organization's members, or of the staff."""
    return asdict(services.revoke(actor=request.actor, **body.model_dump()))


@router.delete("/admin/sessions/{session_id}", response={204: None, **PROBLEMS})
def end_session(request: ApiRequest, session_id: int, params: Query[EndParams]) -> Status[None]:
    """End one. It opens nothing from the next request on."""
    request.actor.require(Permission.SESSIONS_REVOKE)
    services.end_session(actor=request.actor, session_id=session_id, reason=params.reason)
    return Status(204, None)

"""`/api-keys`."""

from typing import Any
from uuid import UUID

from ninja import Field, Query, Schema, Status

from dagy_console.accounts.api_keys import selectors, services
from dagy_console.accounts.api_keys.presenting import key_out
from dagy_console.accounts.search import API_KEYS
from dagy_console.core.api import BODY_PROBLEMS, PROBLEMS, ApiRequest, BodyIn, StrictRouter, Text, moment
from dagy_console.core.errors import Invalid
from dagy_console.core.permissions import Permission
from dagy_console.listing.api import ListParams, list_page

router = StrictRouter(tags=["API keys"])


class ApiKeyParams(ListParams, listing=API_KEYS):
    pass


class ApiKeyIn(BodyIn):
    name: Text = Field(max_length=services.MAX_NAME, description="What it is for.")
    org_id: Text | None = Field(None, description="Left out: your only organization; of a super admin, the platform.")
    scopes: list[Text] | None = Field(None, max_length=100, description="Permissions; null: all of yours there.")
    expires_at: Text | None = Field(None, max_length=40, description="RFC 3339; 90 days ahead by itself, 365 at most.")


class ApiKeyOut(Schema):
    id: str
    name: str
    org_id: str | None
    scopes: list[str] | None
    start: str
    last_four: str
    state: str
    created_by: str
    created_at: str
    expires_at: str
    last_used_at: str | None
    last_used_ip: str | None
    revoked_at: str | None


class NewApiKeyOut(ApiKeyOut):
    """`key` is the key itself: it is shown in this answer alone."""

    key: str


class ApiKeyPageOut(Schema):
    items: list[ApiKeyOut]
    next_cursor: str | None


@router.post("/api-keys", idempotent=True, response={201: NewApiKeyOut, **BODY_PROBLEMS})
def create_api_key(request: ApiRequest, body: ApiKeyIn) -> Status[dict[str, Any]]:
    """Make a key. It acts as you in the organization, as far as `scopes` go, and never further than you may."""
    actor = request.actor
    org_id = body.org_id or (None if actor.super_admin else actor.org_id or None)
    if org_id is None and len(actor.org_ids) > 1:
        actor.require_somewhere(Permission.API_KEYS_WRITE)
        raise Invalid.field("org_id", f"say for which organization: {', '.join(actor.org_ids)}")
    expires_at = None if body.expires_at is None else moment("expires_at", body.expires_at)
    key, token = services.create_api_key(
        actor=actor, name=body.name, org_id=org_id, scopes=body.scopes, expires_at=expires_at
    )
    return Status(201, key_out(key, state="active") | {"key": token})


@router.get("/api-keys", response={200: ApiKeyPageOut, **PROBLEMS})
def list_api_keys(request: ApiRequest, params: Query[ApiKeyParams]) -> dict[str, Any]:
    """Keys, newest first, as far as you may see them; the revoked and expired, too (`state`)."""
    return list_page(API_KEYS, params, selectors.visible_to(request.actor), out=key_out)


@router.delete("/api-keys/{api_key_id}", response={204: None, **PROBLEMS})
def revoke_api_key(request: ApiRequest, api_key_id: UUID) -> Status[None]:
    """End a key at once. One that has ended already is no error."""
    services.revoke_api_key(actor=request.actor, key_id=api_key_id)
    return Status(204, None)

"""`/secrets`."""

from typing import Any

from ninja import Field, Query, Schema, Status

from dagy_console.core.api import BODY_PROBLEMS, PROBLEMS, ApiRequest, BodyIn, QueryParams, StrictRouter, Text
from dagy_console.core.organizations import org_of
from dagy_console.core.permissions import Permission
from dagy_console.listing.api import ListParams, list_page
from dagy_console.runs.search import SECRETS
from dagy_console.runs.secrets import selectors, services
from dagy_console.runs.secrets.presenting import secret_out

router = StrictRouter(tags=["secrets"])


class SecretParams(ListParams, listing=SECRETS):
    pass


class OrganizationParams(QueryParams):
    org_id: Text | None = Field(None, description="Left out: your only organization.")


class SecretIn(BodyIn):
    value: Text = Field(max_length=services.LONGEST, description="It is never told again.")
    org_id: Text | None = Field(None, description="Left out: your only organization.")


class SecretOut(Schema):
    name: str
    org_id: str
    created_at: str
    updated_at: str
    updated_by: str


class SecretPageOut(Schema):
    items: list[SecretOut]
    next_cursor: str | None


@router.get("/secrets", response={200: SecretPageOut, **PROBLEMS})
def list_secrets(request: ApiRequest, params: Query[SecretParams]) -> dict[str, Any]:
    """The names of secrets, newest first. Nobody is told a value."""
    return list_page(SECRETS, params, selectors.visible_to(request.actor), out=secret_out)


@router.put("/secrets/{name}", response={200: SecretOut, **BODY_PROBLEMS})
def keep_secret(request: ApiRequest, name: str, body: SecretIn) -> dict[str, Any]:
    """Make a secret, or give it another value. The organization's runs find it in their environment, by its name."""
    org_id = org_of(request.actor, body.org_id, Permission.SECRETS_WRITE)
    return secret_out(services.keep_secret(actor=request.actor, org_id=org_id, name=name, value=body.value))


@router.delete("/secrets/{name}", response={204: None, **PROBLEMS})
def delete_secret(request: ApiRequest, name: str, params: Query[OrganizationParams]) -> Status[None]:
    """Runs that go on keep it until they end."""
    org_id = org_of(request.actor, params.org_id, Permission.SECRETS_WRITE)
    services.delete_secret(actor=request.actor, org_id=org_id, name=name)
    return Status(204, None)

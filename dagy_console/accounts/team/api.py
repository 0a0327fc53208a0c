"""`/team/members`, `/team/invitations`: within one's organization."""

from typing import Any

from ninja import Field, Query, Schema, Status

from dagy_console.accounts.search import MEMBERS
from dagy_console.accounts.team import selectors, services
from dagy_console.accounts.team.serializers import invitation_out, member_out
from dagy_console.core.api import BODY_PROBLEMS, PROBLEMS, ApiRequest, BodyIn, QueryParams, StrictRouter, Text, problems
from dagy_console.listing.api import ListParams, list_page

router = StrictRouter(tags=["team"])
_ORG = "The organization; may be left out by who belongs to one alone."


class MemberParams(ListParams, listing=MEMBERS):
    pass


class OrgParams(QueryParams):
    org_id: Text = Field("", description=_ORG)


class MemberOut(Schema):
    user_id: str
    email: str
    name: str
    org_id: str
    role: str
    since: str


class MembersOut(Schema):
    items: list[MemberOut]
    next_cursor: str | None


class InvitationIn(BodyIn):
    email: Text = Field(max_length=254)
    role: Text = Field("viewer", description="`owner`, `admin`, `developer` or `viewer`.")
    org_id: Text = Field("", description=_ORG)


class InvitationOut(Schema):
    id: str
    org_id: str
    email: str
    role: str
    expires_at: str


class RoleIn(BodyIn):
    role: Text
    org_id: Text = Field("", description=_ORG)


@router.get("/team/members", response={200: MembersOut, **PROBLEMS})
def list_members(request: ApiRequest, params: Query[MemberParams]) -> dict[str, Any]:
    """The members of the organizations whose team you may read, newest first."""
    return list_page(MEMBERS, params, selectors.visible_to(request.actor), out=member_out)


@router.post("/team/invitations", idempotent=True, response={201: InvitationOut, **BODY_PROBLEMS})
def invite(request: ApiRequest, body: InvitationIn) -> Status[dict[str, Any]]:
    """Mail a link by which an address may join, within seven days. 409 where the person is a member."""
    org_id = selectors.organization_of(request.actor, body.org_id)
    row = services.invite(actor=request.actor, org_id=org_id, email=body.email, role=body.role)
    return Status(201, invitation_out(row))


@router.patch("/team/members/{user_id}", response={200: MemberOut, **BODY_PROBLEMS, **problems(409)})
def change_role(request: ApiRequest, user_id: int, body: RoleIn) -> dict[str, Any]:
    """Give a member another role. 409 where no owner would be left."""
    org_id = selectors.organization_of(request.actor, body.org_id)
    services.change_role(actor=request.actor, org_id=org_id, user_id=user_id, role=body.role)
    return member_out(selectors.visible_to(request.actor).get(organization=org_id, user=user_id))


@router.delete("/team/members/{user_id}", response={204: None, **PROBLEMS, **problems(409)})
def remove_member(request: ApiRequest, user_id: int, params: Query[OrgParams]) -> Status[None]:
    """Take a member out of the organization. 409 where no owner would be left."""
    org_id = selectors.organization_of(request.actor, params.org_id)
    services.remove(actor=request.actor, org_id=org_id, user_id=user_id)
    return Status(204, None)

"""`/admin/customers`."""

from typing import Any

from ninja import Field, Query, Schema

from dagy_console.core.api import BODY_PROBLEMS, PROBLEMS, ApiRequest, BodyIn, StrictRouter, Text
from dagy_console.core.errors import Invalid
from dagy_console.core.times import EXPECTED_AHEAD, parse_ahead
from dagy_console.customers import selectors
from dagy_console.customers.search import CUSTOMERS
from dagy_console.customers.serializers import customer_detail_out, customer_out, preview_out, suspension_out
from dagy_console.customers.services import suspension as suspensions
from dagy_console.listing.api import ListParams, list_page

router = StrictRouter(tags=["customers"])


class CustomerParams(ListParams, listing=CUSTOMERS):
    pass


class CustomerOut(Schema):
    """`figures`: what the parts of the platform count of it, such as `traces_24h`."""

    id: str
    name: str
    status: str
    created_at: str
    members: int
    last_activity: str | None
    figures: dict[str, int]


class CustomersOut(Schema):
    items: list[CustomerOut]
    next_cursor: str | None


class SuspensionOut(Schema):
    org_id: str
    reason: str
    note: str
    running_runs: str
    suspended_by: str
    suspended_at: str
    until: str | None
    lifted_by: str
    lifted_at: str | None
    lift_reason: str


class PersonOut(Schema):
    user_id: str
    email: str
    name: str
    role: str
    last_seen_at: str | None


class CustomerDetailOut(CustomerOut):
    """`people` are the first 100 members, owners first."""

    suspension: SuspensionOut | None
    people: list[PersonOut]


class PreviewOut(Schema):
    hits: dict[str, int]
    members_who_go_on_elsewhere: int
    owners: list[str]


class SuspendIn(BodyIn):
    reason: Text = Field(description="Why: 5 to 2,000 characters, for the record.")
    note: Text = Field("", description="What members and owners are told.")
    until: Text | None = Field(None, description=f"When it ends by itself: {EXPECTED_AHEAD}. Null: when it is lifted.")
    running_runs: str = Field("finish", description="`finish` or `cancel` what is under way.")


class UnsuspendIn(BodyIn):
    reason: Text


@router.get("/admin/customers", response={200: CustomersOut, **PROBLEMS})
def list_customers(request: ApiRequest, params: Query[CustomerParams]) -> dict[str, Any]:
    """Customers, newest first, with their health."""
    rows = selectors.visible_to(request.actor)
    return list_page(CUSTOMERS, params, selectors.with_health(rows), out=customer_out)


@router.get("/admin/customers/{org_id}", response={200: CustomerDetailOut, **PROBLEMS})
def get_customer(request: ApiRequest, org_id: str) -> dict[str, Any]:
    """One customer: health, suspension, people."""
    actor = request.actor
    customer = selectors.get_customer(actor, org_id)
    return customer_detail_out(customer, selectors.suspension_of(actor, org_id), selectors.members_of(actor, org_id))


@router.get("/admin/customers/{org_id}/suspension-preview", response={200: PreviewOut, **PROBLEMS})
def preview_suspension(request: ApiRequest, org_id: str) -> dict[str, Any]:
    """What a suspension would hit now."""
    return preview_out(selectors.suspension_preview(request.actor, org_id))


@router.post("/admin/customers/{org_id}/suspend", idempotent=True, response={200: SuspensionOut, **BODY_PROBLEMS})
def suspend(request: ApiRequest, org_id: str, body: SuspendIn) -> dict[str, Any]:
    """Keep everybody of it out, from their next request on. 409 where it is suspended already."""
    try:
        until = parse_ahead(body.until) if body.until else None
    except ValueError:
        raise Invalid.field("until", f"write {EXPECTED_AHEAD}") from None
    given = body.model_dump() | {"until": until}
    return suspension_out(suspensions.suspend(actor=request.actor, org_id=org_id, **given))


@router.post("/admin/customers/{org_id}/unsuspend", idempotent=True, response={200: SuspensionOut, **BODY_PROBLEMS})
def unsuspend(request: ApiRequest, org_id: str, body: UnsuspendIn) -> dict[str, Any]:
    """Let it in again. 409 where it is not suspended."""
    return suspension_out(suspensions.unsuspend(actor=request.actor, org_id=org_id, reason=body.reason))

"""`/notifications/deliveries`."""

from typing import Any
from uuid import UUID

from ninja import Query, Schema, Status

from dagy_console.alerts.deliveries import selectors, services
from dagy_console.alerts.deliveries.presenting import DeliveryOut, delivery_out
from dagy_console.alerts.search import DELIVERIES
from dagy_console.core.api import PROBLEMS, ApiRequest, StrictRouter, problems
from dagy_console.listing.api import ListParams, list_page

router = StrictRouter(tags=["notifications"])


class DeliveryParams(ListParams, listing=DELIVERIES):
    pass


class DeliveryPageOut(Schema):
    items: list[DeliveryOut]
    next_cursor: str | None


@router.get("/notifications/deliveries", response={200: DeliveryPageOut, **PROBLEMS})
def list_deliveries(request: ApiRequest, params: Query[DeliveryParams]) -> dict[str, Any]:
    """What was sent and what waits to be, newest first, each attempt with its answer."""
    rows = selectors.with_attempts(selectors.visible_to(request.actor))
    return list_page(DELIVERIES, params, rows, out=lambda delivery: delivery_out(delivery, request.actor))


@router.post(
    "/notifications/deliveries/{delivery_id}/resend",
    idempotent=True,
    response={202: DeliveryOut, **PROBLEMS, **problems(409)},
)
def resend(request: ApiRequest, delivery_id: UUID) -> Status[dict[str, Any]]:
    """Send it again, under its own key. 409 where it waits to be sent."""
    delivery = services.resend(actor=request.actor, delivery_id=delivery_id)
    return Status(202, delivery_out(delivery, request.actor))

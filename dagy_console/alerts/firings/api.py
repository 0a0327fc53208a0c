"""`/notifications/alerts`."""

from typing import Any
from uuid import UUID

from ninja import Query, Schema, Status

from dagy_console.alerts.deliveries.presenting import DeliveryOut
from dagy_console.alerts.firings import selectors, services
from dagy_console.alerts.firings.presenting import alert_out
from dagy_console.alerts.search import ALERTS
from dagy_console.core.api import PROBLEMS, ApiRequest, StrictRouter, problems
from dagy_console.listing.api import ListParams, list_page

router = StrictRouter(tags=["notifications"])


class AlertParams(ListParams, listing=ALERTS):
    pass


class AlertOut(Schema):
    """`deliveries` are told of one alone. `is_missed`: it was over before anybody noticed, and was found afterwards."""

    id: str
    rule_id: str
    rule: str
    org_id: str | None
    severity: str
    status: str
    dimensions: dict[str, str]
    value: float
    peak: float
    since: str
    fired_at: str | None
    resolved_at: str | None
    resolved_by: str | None
    acknowledged_at: str | None
    acknowledged_by: str | None
    silence_id: str | None
    is_silenced: bool
    is_missed: bool
    deliveries: list[DeliveryOut] | None


class AlertPageOut(Schema):
    items: list[AlertOut]
    next_cursor: str | None


@router.get("/notifications/alerts", response={200: AlertPageOut, **PROBLEMS})
def list_alerts(request: ApiRequest, params: Query[AlertParams]) -> dict[str, Any]:
    """What fires and what fired, newest first."""
    rows = selectors.visible_to(request.actor)
    return list_page(ALERTS, params, rows, out=lambda alert: alert_out(alert, request.actor))


@router.get("/notifications/alerts/{alert_id}", response={200: AlertOut, **PROBLEMS})
def get_alert(request: ApiRequest, alert_id: UUID) -> dict[str, Any]:
    """One alert, with what was told of it."""
    alert = selectors.get_alert(request.actor, alert_id)
    return alert_out(alert, request.actor, list(selectors.deliveries_of(alert)))


@router.post(
    "/notifications/alerts/{alert_id}/acknowledge",
    idempotent=True,
    response={200: AlertOut, **PROBLEMS, **problems(409)},
)
def acknowledge(request: ApiRequest, alert_id: UUID) -> Status[dict[str, Any]]:
    """Look after it: it is told no more until it clears. 409 where it does not fire, or somebody does already."""
    return Status(200, alert_out(services.acknowledge(actor=request.actor, alert_id=alert_id), request.actor))


@router.post(
    "/notifications/alerts/{alert_id}/unacknowledge",
    idempotent=True,
    response={200: AlertOut, **PROBLEMS, **problems(409)},
)
def unacknowledge(request: ApiRequest, alert_id: UUID) -> Status[dict[str, Any]]:
    """Give it back: it is told again. 409 where it does not fire, or nobody looks after it."""
    return Status(200, alert_out(services.unacknowledge(actor=request.actor, alert_id=alert_id), request.actor))


@router.post(
    "/notifications/alerts/{alert_id}/resolve", idempotent=True, response={200: AlertOut, **PROBLEMS, **problems(409)}
)
def resolve(request: ApiRequest, alert_id: UUID) -> Status[dict[str, Any]]:
    """End it by hand; where its condition still holds, the next check begins another. 409 where it does not fire."""
    return Status(200, alert_out(services.resolve(actor=request.actor, alert_id=alert_id), request.actor))

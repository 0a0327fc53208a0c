"""`/notifications/rotations`."""

from typing import Any
from uuid import UUID

from ninja import Field, Query, Schema, Status

from dagy_console.alerts.rotations import selectors, services
from dagy_console.alerts.rotations.presenting import override_out, rotation_out
from dagy_console.alerts.rotations.terms import LONGEST_NAME, LONGEST_REASON, Terms
from dagy_console.alerts.search import ROTATIONS
from dagy_console.core.api import BODY_PROBLEMS, PROBLEMS, ApiRequest, BodyIn, StrictRouter, Text, moment, problems
from dagy_console.core.times import parse_ahead
from dagy_console.listing.api import ListParams, list_page

router = StrictRouter(tags=["notifications"])


class RotationParams(ListParams, listing=ROTATIONS):
    pass


class RotationIn(BodyIn):
    name: Text = Field(max_length=LONGEST_NAME)
    channel_ids: list[UUID] = Field(description="Whose turns, a week each, in their order; 1 to 50.")
    time_zone: Text = Field(description="Europe/Berlin, say.")
    starts_at: Text = Field(
        description="When the first turn begins: a time like 2026-01-05T08:00:00Z, or from now on like 4h. It hands "
        "over each week at that weekday and time of day in `time_zone`."
    )
    org_id: Text | None = Field(None, description="Left out: your only organization; for the staff, the platform.")


class RotationChangeIn(BodyIn):
    name: Text | None = Field(None, max_length=LONGEST_NAME)
    channel_ids: list[UUID] | None = None
    time_zone: Text | None = None
    starts_at: Text | None = None


class OverrideIn(BodyIn):
    channel_id: UUID
    until: Text = Field(description="A time like 2026-01-15T10:30:00Z, or from now on like 4h, 7d.")
    starts_at: Text | None = Field(None, description="Likewise; left out, or past: now.")
    reason: Text = Field("", max_length=LONGEST_REASON)


class OnCallOut(Schema):
    """Who is on call now. `override`: whether it stands in for whose turn it is."""

    channel_id: str
    name: str
    until: str
    override: bool


class OverrideOut(Schema):
    """`name`: the channel's."""

    id: str
    channel_id: str
    name: str
    starts_at: str
    until: str
    reason: str
    created_by: str
    created_at: str


class RotationOut(Schema):
    """`overrides`: those that are not over, the next first."""

    id: str
    org_id: str | None
    name: str
    channel_ids: list[str]
    time_zone: str
    starts_at: str
    on_call: OnCallOut
    overrides: list[OverrideOut]
    created_by: str
    created_at: str
    updated_at: str


class RotationPageOut(Schema):
    items: list[RotationOut]
    next_cursor: str | None


@router.get("/notifications/rotations", response={200: RotationPageOut, **PROBLEMS})
def list_rotations(request: ApiRequest, params: Query[RotationParams]) -> dict[str, Any]:
    """Rotations, newest first."""
    return list_page(ROTATIONS, params, selectors.with_turns(selectors.visible_to(request.actor)), out=rotation_out)


@router.post("/notifications/rotations", idempotent=True, response={201: RotationOut, **BODY_PROBLEMS})
def create_rotation(request: ApiRequest, body: RotationIn) -> Status[dict[str, Any]]:
    """Rules that name it tell whoever is on call."""
    terms = Terms(body.name, body.channel_ids, body.time_zone, moment("starts_at", body.starts_at, parse=parse_ahead))
    made = services.create_rotation(actor=request.actor, org_id=body.org_id or request.actor.org_id, terms=terms)
    return Status(201, rotation_out(selectors.get_rotation(request.actor, made.pk)))


@router.get("/notifications/rotations/{rotation_id}", response={200: RotationOut, **PROBLEMS})
def get_rotation(request: ApiRequest, rotation_id: UUID) -> dict[str, Any]:
    """One rotation."""
    return rotation_out(selectors.get_rotation(request.actor, rotation_id))


@router.patch("/notifications/rotations/{rotation_id}", response={200: RotationOut, **BODY_PROBLEMS})
def change_rotation(request: ApiRequest, rotation_id: UUID, body: RotationChangeIn) -> dict[str, Any]:
    """What is left out stays as it is. With other `channel_ids` and no `starts_at`, whoever has the turn keeps it until
    the next handover, and the order goes on from there (`starts_at` moves by weeks); who is in it no more hands over to
    its first at once."""
    changes = {name: value for name, value in body.model_dump().items() if value is not None}
    if body.starts_at is not None:
        changes["starts_at"] = moment("starts_at", body.starts_at, parse=parse_ahead)
    services.change_rotation(actor=request.actor, rotation_id=rotation_id, **changes)
    return rotation_out(selectors.get_rotation(request.actor, rotation_id))


@router.delete("/notifications/rotations/{rotation_id}", response={204: None, **PROBLEMS, **problems(409)})
def delete_rotation(request: ApiRequest, rotation_id: UUID) -> Status[None]:
    """With its overrides. 409 where rules tell whoever is on call of it."""
    services.delete_rotation(actor=request.actor, rotation_id=rotation_id)
    return Status(204, None)


@router.post(
    "/notifications/rotations/{rotation_id}/overrides", idempotent=True, response={201: OverrideOut, **BODY_PROBLEMS}
)
def create_override(request: ApiRequest, rotation_id: UUID, body: OverrideIn) -> Status[dict[str, Any]]:
    """The channel is on call in place of whose turn it is. No two overlap."""
    override = services.create_override(
        actor=request.actor,
        rotation_id=rotation_id,
        channel_id=body.channel_id,
        until=moment("until", body.until, parse=parse_ahead),
        starts_at=moment("starts_at", body.starts_at, parse=parse_ahead) if body.starts_at else None,
        reason=body.reason,
    )
    return Status(201, override_out(override))


@router.delete(
    "/notifications/rotations/{rotation_id}/overrides/{override_id}",
    response={204: None, **PROBLEMS, **problems(409)},
)
def end_override(request: ApiRequest, rotation_id: UUID, override_id: UUID) -> Status[None]:
    """It ends now; one that has not begun is gone. 409 where it is over."""
    services.end_override(actor=request.actor, rotation_id=rotation_id, override_id=override_id)
    return Status(204, None)

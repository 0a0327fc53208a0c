"""`/notifications/channels`."""

from typing import Any
from uuid import UUID

from ninja import Field, Query, Schema, Status

from dagy_console.alerts.channels import selectors, services
from dagy_console.alerts.channels.presenting import channel_out
from dagy_console.alerts.deliveries.presenting import DeliveryOut, delivery_out
from dagy_console.alerts.search import CHANNELS
from dagy_console.core.api import BODY_PROBLEMS, PROBLEMS, ApiRequest, BodyIn, StrictRouter, Text, problems
from dagy_console.listing.api import ListParams, list_page

router = StrictRouter(tags=["notifications"])


class ChannelParams(ListParams, listing=CHANNELS):
    pass


class ChannelIn(BodyIn):
    name: Text = Field(max_length=services.LONGEST_NAME)
    channel_type: Text = Field(description="slack, email, webhook or pagerduty.")
    config: dict[str, Any] = Field(
        description="slack: webhook_url; email: to (a list); webhook: url, secret (made where none is given); "
        "pagerduty: routing_key."
    )
    is_last_resort: bool = Field(False, description="Told what no other channel could be told.")
    org_id: Text | None = Field(None, description="Left out: your only organization; for the staff, the platform.")


class ChannelChangeIn(BodyIn):
    name: Text | None = Field(None, max_length=services.LONGEST_NAME)
    config: dict[str, Any] | None = Field(None, description="Whole, but for secrets, which stay where left out.")
    is_last_resort: bool | None = None


class RecipientOut(Schema):
    """`state`: asked (nothing is sent there yet), confirmed, stopped (its owner wants no more)."""

    address: str
    state: str
    asked_at: str | None
    confirmed_at: str | None
    stopped_at: str | None


class ChannelOut(Schema):
    """Secrets are masked. `recipients`: the addresses of an email channel.
    `problem`: what the channel answered last, where it fails; its text for the staff alone.
    `off_since`: its receiver said that it is gone (410)."""

    id: str
    org_id: str | None
    name: str
    channel_type: str
    config: dict[str, Any]
    recipients: list[RecipientOut]
    is_last_resort: bool
    failing_since: str | None
    off_since: str | None
    problem: str | None
    proven_at: str | None
    created_by: str
    created_at: str


class ChannelMadeOut(ChannelOut):
    """`secret`: of a webhook; it is not told again."""

    secret: str | None


class SecretOut(Schema):
    """It is not told again."""

    secret: str


class ChannelPageOut(Schema):
    items: list[ChannelOut]
    next_cursor: str | None


@router.get("/notifications/channels", response={200: ChannelPageOut, **PROBLEMS})
def list_channels(request: ApiRequest, params: Query[ChannelParams]) -> dict[str, Any]:
    """Channels, newest first."""
    rows = selectors.visible_to(request.actor).prefetch_related("recipients")
    return list_page(CHANNELS, params, rows, out=lambda channel: channel_out(channel, request.actor))


@router.post("/notifications/channels", idempotent=True, response={201: ChannelMadeOut, **BODY_PROBLEMS})
def create_channel(request: ApiRequest, body: ChannelIn) -> Status[dict[str, Any]]:
    """Make a channel. Send a test message by it next."""
    told = body.model_dump() | {"org_id": body.org_id or request.actor.org_id}
    channel = services.create_channel(actor=request.actor, **told)
    secret = channel.config.get("secret")
    return Status(201, channel_out(channel, request.actor) | {"secret": secret})


@router.get("/notifications/channels/{channel_id}", response={200: ChannelOut, **PROBLEMS})
def get_channel(request: ApiRequest, channel_id: UUID) -> dict[str, Any]:
    """One channel."""
    return channel_out(selectors.get_channel(request.actor, channel_id), request.actor)


@router.patch("/notifications/channels/{channel_id}", response={200: ChannelOut, **BODY_PROBLEMS})
def change_channel(request: ApiRequest, channel_id: UUID, body: ChannelChangeIn) -> dict[str, Any]:
    """What is left out stays as it is."""
    changes = {name: value for name, value in body.model_dump().items() if value is not None}
    return channel_out(services.change_channel(actor=request.actor, channel_id=channel_id, **changes), request.actor)


@router.delete("/notifications/channels/{channel_id}", response={204: None, **PROBLEMS, **problems(409)})
def delete_channel(request: ApiRequest, channel_id: UUID) -> Status[None]:
    """With what was sent by it, and what waits to be. 409 where a rotation has it on call, or is to."""
    services.delete_channel(actor=request.actor, channel_id=channel_id)
    return Status(204, None)


@router.post("/notifications/channels/{channel_id}/test", idempotent=True, response={202: DeliveryOut, **PROBLEMS})
def test_channel(request: ApiRequest, channel_id: UUID) -> Status[dict[str, Any]]:
    """Send a message that says it is a test; the delivery tells what came of it."""
    delivery = services.test_channel(actor=request.actor, channel_id=channel_id)
    return Status(202, delivery_out(delivery, request.actor))


@router.post(
    "/notifications/channels/{channel_id}/ask",
    idempotent=True,
    response={202: ChannelOut, **PROBLEMS, **problems(409)},
)
def ask_recipients(request: ApiRequest, channel_id: UUID) -> Status[dict[str, Any]]:
    """Mail the link by which an address is confirmed once more, to each that has not answered."""
    channel = services.ask_recipients(actor=request.actor, channel_id=channel_id)
    return Status(202, channel_out(channel, request.actor))


@router.post(
    "/notifications/channels/{channel_id}/rotate",
    idempotent=True,
    response={200: SecretOut, **PROBLEMS, **problems(409)},
)
def rotate_secret(request: ApiRequest, channel_id: UUID) -> dict[str, Any]:
    """Give a webhook another secret. What is sent is signed with both until the next rotation."""
    return {"secret": services.rotate_secret(actor=request.actor, channel_id=channel_id)}

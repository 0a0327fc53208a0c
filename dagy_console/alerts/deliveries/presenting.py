"""Deliveries as JSON and on pages: each attempt with the real answer."""

from typing import Any

from django.urls import reverse
from ninja import Schema

from dagy_console.alerts.models import Attempt, Delivery, DeliveryStatus
from dagy_console.core.actors import Actor
from dagy_console.core.times import to_rfc3339
from dagy_console.core.visible import visible
from dagy_console.listing.language import Query


class AttemptOut(Schema):
    """`status`: HTTP's or SMTP's, null where nobody answered. `answer`: its beginning, for the staff alone."""

    at: str
    status: int | None
    answer: str | None
    seconds: float


class DeliveryOut(Schema):
    id: str
    org_id: str | None
    channel_id: str
    channel: str
    recipient: str | None
    key: str
    subject: str
    event: str
    title: str
    status: str
    attempts: list[AttemptOut]
    next_at: str | None
    sent_at: str | None
    created_at: str


def delivery_out(delivery: Delivery, actor: Actor) -> dict[str, Any]:
    return {
        "id": str(delivery.id),
        "org_id": delivery.organization_id,
        "channel_id": str(delivery.channel_id),
        "channel": delivery.channel.name,
        "recipient": delivery.recipient or None,
        "key": delivery.key,
        "subject": delivery.subject,
        "event": delivery.message["event"],
        "title": delivery.message["title"],
        "status": delivery.status,
        "attempts": [_attempt(one, actor) for one in _tries(delivery)],
        "next_at": to_rfc3339(delivery.next_at) if delivery.next_at else None,
        "sent_at": to_rfc3339(delivery.sent_at) if delivery.sent_at else None,
        "created_at": to_rfc3339(delivery.created_at),
    }


def delivery_row(delivery: Delivery, actor: Actor, query: Query | None = None) -> dict[str, Any]:
    return {
        "id": delivery.id,
        "title": visible(delivery.message["title"]),
        "event": delivery.message["event"],
        "channel": visible(delivery.channel.name),
        "recipient": visible(delivery.recipient),
        "channel_url": reverse("channels:channel", args=[delivery.channel_id]),
        "org_id": delivery.organization_id,
        "status": delivery.status,
        "is_dead": delivery.status == DeliveryStatus.DEAD,
        "is_over": delivery.status != DeliveryStatus.WAITING,
        "tries": [
            {"at": one.at, "status": one.status, "seconds": one.seconds, "answer": visible(_answer(one, actor) or "")}
            for one in _tries(delivery)
        ],
        "next_at": delivery.next_at,
        "created_at": delivery.created_at,
        "key": visible(delivery.key),
    }


def _tries(delivery: Delivery) -> list[Attempt]:
    return sorted(delivery.tries.all(), key=lambda one: (one.at, one.pk))


def _attempt(one: Attempt, actor: Actor) -> dict[str, Any]:
    return {
        "at": to_rfc3339(one.at),
        "status": one.status,
        "answer": _answer(one, actor),
        "seconds": round(one.seconds, 3),
    }


def _answer(one: Attempt, actor: Actor) -> str | None:
    """What an address answers is the platform's to read: else it would tell members what stands inside."""
    return one.answer if actor.is_platform else None

"""Channels that lead to a receiver on loopback."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.utils import timezone

from dagy_console.alerts import outbox
from dagy_console.alerts.channels import services
from dagy_console.alerts.messages import Event, Message
from dagy_console.alerts.models import Channel, Delivery, Severity
from dagy_console.core.times import to_rfc3339
from embedded.inbox.receiver import Receiver

CONFIGS: dict[str, Callable[[str], dict[str, Any]]] = {
    "slack": lambda url: {"webhook_url": f"{url}/services/T0/B0/secretsecretsecret"},
    "webhook": lambda url: {"url": f"{url}/hook?tenant=7"},
    "pagerduty": lambda _: {"routing_key": "R" * 32},
    "email": lambda _: {"to": ["ops@blue.example"]},
}


@pytest.fixture
def receiver(settings: Any) -> Iterator[Receiver]:
    with Receiver() as server:
        settings.CHANNEL_ALLOWED_HOSTS = ["127.0.0.1"]
        settings.SLACK_URL = settings.PAGERDUTY_URL = server.url
        yield server


@pytest.fixture
def channel(db: None, alice: Any, as_actor: Any, receiver: Receiver) -> Callable[..., Channel]:
    """Makes one of the platform, or of an organization."""

    def make(kind: str, *, org_id: str = "", name: str = "On-call", **more: Any) -> Channel:
        config = CONFIGS[kind](receiver.url) | more.pop("config", {})
        return services.create_channel(
            actor=as_actor(alice), org_id=org_id, name=name, channel_type=kind, config=config, **more
        )

    return make


def a_message(subject: str = "alert:1", **more: Any) -> Message:
    usual: dict[str, Any] = {
        "event": Event.TRIGGERED,
        "severity": Severity.CRITICAL,
        "title": "IntegrityError · trigger_run",
        "text": "duplicate key value violates unique constraint",
        "at": to_rfc3339(timezone.now()),
        "link": "https://console.example.com/console/",
        "facts": {"traces": "214"},
    }
    return Message(subject=subject, **(usual | more))


def send(channel: Channel, message: Message | None = None, *, key: str = "k1") -> Delivery:
    """Written, and tried once."""
    delivery = outbox.post(channel, message or a_message(), key=key)
    outbox.deliver_due()
    delivery.refresh_from_db()
    return delivery


def due_now() -> None:
    Delivery.objects.filter(status="waiting").update(next_at=timezone.now())

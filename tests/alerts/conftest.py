"""Channels that lead to a receiver on loopback."""

import random
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.utils import timezone

from dagy_console.alerts import checking, dispatch, outbox
from dagy_console.alerts.channels import services
from dagy_console.alerts.messages import Event, Message
from dagy_console.alerts.models import Channel, Delivery, Rotation, Rule, Severity
from dagy_console.alerts.rotations import services as rotations
from dagy_console.alerts.rules import services as rules
from dagy_console.alerts.rules.terms import Terms
from dagy_console.core.models import Destination
from dagy_console.core.times import to_rfc3339
from dagy_console.exceptions.index.indexing import put_traces
from dagy_console.exceptions.models import IndexState
from embedded.inbox.receiver import Receiver
from tests.core.test_mail import server as smtp  # noqa: F401 - a fixture of all tests here
from tests.traces import NOW, a_trace

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
    """Makes one of the platform, or of an organization; the addresses of a mail's have said yes."""

    def make(kind: str, *, org_id: str = "", name: str = "On-call", **more: Any) -> Channel:
        config = CONFIGS[kind](receiver.url) | more.pop("config", {})
        made = services.create_channel(
            actor=as_actor(alice), org_id=org_id, name=name, channel_type=kind, config=config, **more
        )
        made.recipients.update(confirmed_at=timezone.now())
        return made

    return make


@pytest.fixture
def people(channel: Any) -> Callable[..., list[Channel]]:
    """Makes a channel for each name, of the platform, or of an organization: a person's mail."""

    def make(*names: str, org_id: str = "") -> list[Channel]:
        return [channel("email", name=name, org_id=org_id) for name in names]

    return make


@pytest.fixture
def rotation(people: Any, as_actor: Any, alice: Any) -> Callable[..., Rotation]:
    """Makes one of the platform, of these channels or of one of its own; its first turn began an hour ago."""

    def make(*turns: Channel, **terms: Any) -> Rotation:
        ids = [one.pk for one in turns or people("turn")]
        begins = timezone.now() - timedelta(hours=1)
        usual = {"name": "Night", "channel_ids": ids, "time_zone": "Europe/Berlin", "starts_at": begins}
        return rotations.create_rotation(actor=as_actor(alice), org_id="", terms=rotations.Terms(**(usual | terms)))

    return make


MINUTE = timedelta(minutes=1)
USUAL: dict[str, Any] = {
    "name": "Exceptions", "measure": "exception_count", "window_seconds": 300, "op": "above", "value": 2.0,
}  # fmt: skip


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[datetime], None]:
    """Checks are made at this moment."""

    def at(moment: datetime) -> None:
        # Of checks alone: the record is written by the real clock.
        monkeypatch.setattr(checking, "timezone", SimpleNamespace(now=lambda: moment))

    at(NOW)
    return at


@pytest.fixture
def rule(channel: Any, as_actor: Any, alice: Any) -> Callable[..., Rule]:
    """Makes one of the platform that tells a webhook, unless it is given other channels."""

    look(NOW + timedelta(days=1))

    def make(**terms: Any) -> Rule:
        told = terms.pop("channel_ids", None)
        told = [channel("webhook").pk] if told is None else told
        return rules.create_rule(
            actor=as_actor(alice), org_id=terms.pop("org_id", ""), terms=Terms(**(USUAL | terms), channel_ids=told)
        )

    return make


def look(at: datetime) -> None:
    """The index has followed the bucket until then."""
    IndexState.objects.update_or_create(pk=1, defaults={"checked_at": at, "complete_at": at})


def traces(count: int, at: datetime, first: int = 0) -> None:
    put_traces([a_trace(first + number, at, random.Random(number)) for number in range(count)])


def events() -> list[str]:
    return [row["message"]["event"] for row in Delivery.objects.order_by("number").values("message")]


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
    dispatch.deliver_due()
    delivery.refresh_from_db()
    return delivery


def due_now() -> None:
    Destination.objects.all().delete()
    Delivery.objects.filter(status="waiting").update(next_at=timezone.now())

"""A message's link acknowledges or silences without signing in, and never by being opened."""

import re
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.test import Client
from django.utils import timezone

from dagy_console.alerts import checking, links
from dagy_console.alerts.models import Alert, Channel, Delivery, Silence
from dagy_console.audit.models import AuditEntry
from tests.alerts.conftest import MINUTE, NOW, events, traces


@pytest.fixture
def link(rule: Any, clock: Any) -> str:
    """The path that the message of an alert holds."""
    rule(window_seconds=86_400)
    traces(3, NOW - MINUTE)
    checking.check_due()
    return urlsplit(Delivery.objects.get().message["act_link"]).path


def test_opening_it_does_nothing_and_its_button_acknowledges(link: str, receiver: Any) -> None:
    somebody = Client(enforce_csrf_checks=True)
    for _ in range(2):
        page = somebody.get(link)
        assert page.status_code == 200 and "Acknowledge" in page.content.decode()
    assert somebody.post(link).status_code == 403
    assert Alert.objects.get().acknowledged_at is None
    (token_value,) = set(re.findall(r'name="csrfmiddlewaretoken" value="(\w+)"', somebody.get(link).content.decode()))
    token = {"csrfmiddlewaretoken": token_value}
    assert "It is acknowledged" in somebody.post(link, token).content.decode()
    assert Alert.objects.get().acknowledged_by == "a link in On-call" and events() == ["triggered", "acknowledged"]
    entry = AuditEntry.objects.get(action="alert.acknowledged")
    assert (entry.actor_email, entry.session_id, entry.ip) == ("a link in On-call", "link", "127.0.0.1")
    again = somebody.post(link, token).content.decode()
    assert "looks after it already" in again


def test_it_silences_for_some_hours(link: str, client: Client) -> None:
    assert "It is quiet for 4 h" in client.post(link, {"hours": "4"}).content.decode()
    made = Silence.objects.get()
    assert (made.text, made.created_by) == ("rule:Exceptions", "a link in On-call")
    assert timedelta(hours=3, minutes=59) < made.until - timezone.now() <= timedelta(hours=4)
    client.post(link, {"hours": "9999"})
    assert Silence.objects.count() == 1


def test_one_that_was_changed_or_is_too_old_or_whose_channel_is_gone_opens_nothing(
    link: str, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert client.get(f"{link[:-2]}x/").status_code == 404
    monkeypatch.setattr(links, "GOOD_FOR", timedelta(seconds=-1))
    assert "too old" in client.get(link).content.decode()
    monkeypatch.undo()
    Channel.objects.all().delete()
    assert client.get(link).status_code == 404


def test_what_is_over_can_only_be_looked_at(link: str, client: Client) -> None:
    Alert.objects.update(status="resolved", resolved_at=timezone.now())
    page = client.get(link).content.decode()
    assert "resolved" in page and "<form" not in page
    assert "does not fire" in client.post(link).content.decode()


@pytest.mark.parametrize("kind", ["slack", "email", "pagerduty", "webhook"])
def test_every_kind_of_message_has_it(kind: str, channel: Any, rule: Any, clock: Any) -> None:
    from dagy_console.alerts.kinds import email, slack
    from dagy_console.alerts.messages import Message

    rule(channel_ids=[channel(kind).pk])
    traces(3, NOW - MINUTE)
    checking.check_due()
    message = Message.from_description(Delivery.objects.get().message)
    assert message.act_link.startswith("http") and "/alerts/" in message.act_link
    if kind == "slack":
        assert message.act_link in str([block.to_dict() for block in slack._blocks(message)])
    if kind == "email":
        mail = email._mail("a@b.example", message, "k")
        assert message.act_link in mail.body and message.act_link in str(mail.alternatives)

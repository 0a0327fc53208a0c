"""A message is written once, sent at least once, in the order of its subject; what came of it is kept."""

import socket
import time
from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.db import transaction
from django.utils import timezone
from standardwebhooks import Webhook, WebhookVerificationError

from dagy_console.alerts import dispatch, outbox
from dagy_console.alerts.channels import services
from dagy_console.alerts.messages import Event
from dagy_console.alerts.models import Attempt, Channel, Delivery
from dagy_console.audit.models import AuditEntry
from dagy_console.core.health import Status
from tests.alerts.conftest import a_message, due_now, send
from tests.console import at_the_same_moment, create_person


def test_a_channel_can_be_deleted_while_a_message_is_being_sent_by_it(
    committed: None, receiver: Any, as_actor: Any
) -> None:
    cache.clear()
    actor = as_actor(create_person("alice@dagy.example", super_admin=True))
    made = services.create_channel(
        actor=actor, org_id="", name="Slow", channel_type="webhook", config={"url": receiver.url}
    )
    with transaction.atomic():
        outbox.post(made, a_message(), key="k1")
    receiver.order(200, wait=1)

    def delete() -> None:
        time.sleep(0.3)
        services.delete_channel(actor=actor, channel_id=made.pk)

    taken, _ = at_the_same_moment(dispatch.deliver_due, delete)
    assert taken == 1 and not Channel.objects.exists() and not Delivery.objects.exists()


def test_what_was_opened_with_an_older_key_of_pagerduty_is_closed_with_it(
    channel: Any, receiver: Any, as_actor: Any, alice: Any
) -> None:
    made = channel("pagerduty")
    send(made, key="k1")
    services.change_channel(actor=as_actor(alice), channel_id=made.pk, config={"routing_key": "N" * 32})
    made.refresh_from_db()
    send(made, a_message(event=Event.RESOLVED), key="k2")
    send(made, a_message("alert:2"), key="k3")
    assert [got.json["routing_key"][0] for got in receiver.got] == ["R", "R", "N"]
    assert "R" * 32 not in str(list(Delivery.objects.values()))


KINDS = ("slack", "webhook", "pagerduty")


@pytest.mark.parametrize("kind", KINDS)
def test_a_message_reaches_the_other_side_and_its_answer_is_kept(channel: Any, receiver: Any, kind: str) -> None:
    made = channel(kind)
    delivery = send(made)
    assert delivery.status == "sent", list(Attempt.objects.values())
    assert delivery.sent_at and delivery.next_at is None
    attempt = Attempt.objects.get()
    assert attempt.status in (200, 202, 204) and 0 <= attempt.seconds < 5
    assert len(receiver.got) == 1
    made.refresh_from_db()
    assert made.proven_at and not made.problem


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "text", ["", "x" * 50_000, "<!channel> <https://evil|click> ```", "\u202eabc\x07", "ä" * 9_000], ids=range(5)
)
def test_whatever_an_exception_says_is_within_what_they_take(channel: Any, receiver: Any, kind: str, text: str) -> None:
    delivery = send(channel(kind), a_message(title=text[:3_000] or "t", text=text, facts={"first": text}))
    assert delivery.status == "sent", list(Attempt.objects.values())


def test_slack_pings_nobody_and_forges_no_link(channel: Any, receiver: Any) -> None:
    send(channel("slack"), a_message(title="<!here>", text="<!channel> <https://evil|click>"))
    sent = receiver.got[0].json
    section = next(block for block in sent["blocks"] if block["type"] == "section")
    assert section["text"]["text"] == "&lt;!channel&gt; &lt;https://evil|click&gt;"
    assert sent["text"].startswith("&lt;!here&gt;")


def test_a_webhook_is_signed_as_the_specification_has_it_also_while_its_secret_changes(
    channel: Any, receiver: Any, alice: Any, as_actor: Any
) -> None:
    made = channel("webhook")
    first = made.config["secret"]
    second = services.rotate_secret(actor=as_actor(alice), channel_id=made.pk)
    send(Channel.objects.get())
    got = receiver.got[0]
    for secret in (first, second):
        told = Webhook(secret).verify(got.body, got.headers)
    assert told["type"] == "alert.triggered" and told["data"]["title"] == "IntegrityError · trigger_run"
    assert got.headers["webhook-id"] == "k1" and got.path == "/hook?tenant=7"
    with pytest.raises(WebhookVerificationError):
        Webhook(second).verify(got.body.replace(b"214", b"215"), got.headers)
    third = services.rotate_secret(actor=as_actor(alice), channel_id=made.pk)
    send(Channel.objects.get(), key="k2")
    with pytest.raises(WebhookVerificationError):
        Webhook(first).verify(receiver.got[1].body, receiver.got[1].headers)
    Webhook(third).verify(receiver.got[1].body, receiver.got[1].headers)


def test_pagerduty_opens_and_closes_one_alert_and_a_test_wakes_nobody(
    channel: Any, receiver: Any, alice: Any, as_actor: Any
) -> None:
    made = channel("pagerduty")
    for number, event in enumerate((Event.TRIGGERED, Event.ACKNOWLEDGED, Event.RESOLVED)):
        send(made, a_message(event=event), key=str(number))
    assert [(got.json["event_action"], got.json["dedup_key"]) for got in receiver.got] == [
        ("trigger", "alert:1"), ("acknowledge", "alert:1"), ("resolve", "alert:1"),
    ]  # fmt: skip
    services.test_channel(actor=as_actor(alice), channel_id=made.pk)
    dispatch.deliver_due()
    opened, closed = (got.json for got in receiver.got[3:])
    assert (opened["event_action"], opened["payload"]["severity"], closed["event_action"]) == (
        "trigger",
        "info",
        "resolve",
    )


def test_mails_of_one_alert_are_one_thread_in_text_and_html(channel: Any, smtp: Any) -> None:
    made = channel("email")
    assert send(made, a_message(text="<b>bold</b>"), key="k1").status == "sent"
    assert send(made, a_message(event=Event.RESOLVED), key="k2").status == "sent"
    (to, first), (_, second) = smtp.taken
    assert to == ["ops@blue.example"]
    assert first["Subject"] == second["Subject"] == "[critical] IntegrityError · trigger_run"
    assert first["References"] == second["References"] and first["Message-ID"] != second["Message-ID"]
    assert first["Auto-Submitted"] == "auto-generated"
    assert "<b>bold</b>" in first.get_body(("plain",)).get_content()
    assert "&lt;b&gt;bold&lt;/b&gt;" in first.get_body(("html",)).get_content()


def test_a_header_of_a_mail_can_be_added_by_nobody(channel: Any, smtp: Any) -> None:
    assert send(channel("email"), a_message(title="x\r\nBcc: all@evil.example")).status == "sent"
    assert smtp.taken[0][1]["Bcc"] is None


def test_a_mail_server_that_refuses_for_good_is_not_asked_again(channel: Any, smtp: Any) -> None:
    smtp.answer = "550 no such user"
    delivery = send(channel("email"))
    assert (delivery.status, Attempt.objects.get().status) == ("dead", 550)
    smtp.answer = "451 later"
    assert send(Channel.objects.get(), key="k2").status == "waiting"


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503])
def test_what_may_pass_is_tried_again_later_and_later(channel: Any, receiver: Any, status: int) -> None:
    receiver.order(status)
    made = channel("webhook")
    delivery = send(made)
    assert delivery.status == "waiting"
    assert timedelta(seconds=3) < delivery.next_at - timezone.now() < timedelta(seconds=7)
    dispatch.deliver_due()
    assert len(receiver.got) == 1  # not before its time
    receiver.order(status)
    due_now()
    dispatch.deliver_due()
    delivery.refresh_from_db()
    assert delivery.next_at - timezone.now() > timedelta(seconds=10)
    due_now()
    dispatch.deliver_due()
    delivery.refresh_from_db()
    assert (delivery.status, delivery.attempts, delivery.tries.count()) == ("sent", 3, 3)
    assert {got.headers["webhook-id"] for got in receiver.got} == {"k1"}


def test_retry_after_is_honoured(channel: Any, receiver: Any) -> None:
    receiver.order(429, headers={"Retry-After": "120"})
    delivery = send(channel("webhook"))
    assert timedelta(seconds=110) < delivery.next_at - timezone.now() < timedelta(seconds=121)


def test_a_receiver_that_is_gone_turns_its_channel_off_until_a_test_is_taken(
    channel: Any, receiver: Any, as_actor: Any, alice: Any, browse: Any
) -> None:
    resort = channel("slack", name="Last resort", is_last_resort=True)
    made = channel("webhook")
    receiver.order(410)
    assert send(made).status == "dead"
    assert send(made, a_message("alert:2"), key="k2").status == "dead"
    dispatch.deliver_due()
    assert [got.kind for got in receiver.got] == ["webhook", "slack", "slack"]
    assert Delivery.objects.filter(channel=resort, status="sent").count() == 2
    made.refresh_from_db()
    assert made.off_since and made.failing_since and made.problem.startswith("410")
    assert outbox.check()[0] is Status.DEGRADED
    assert "It is off" in browse(alice).get(f"/console/alerts/channels/{made.pk}/").content.decode()
    services.test_channel(actor=as_actor(alice), channel_id=made.pk)
    dispatch.deliver_due()
    made.refresh_from_db()
    assert made.off_since is None and made.failing_since is None
    assert send(made, a_message("alert:3"), key="k3").status == "sent"
    said = AuditEntry.objects.filter(action__startswith="channel.switched").order_by("at")
    assert [(one.action, one.actor_kind) for one in said] == [
        ("channel.switched_off", "system"),
        ("channel.switched_on", "system"),
    ]


@pytest.mark.parametrize("status", [301, 400, 401, 404])
def test_a_refusal_is_final_said_and_sent_again_by_hand(
    channel: Any, receiver: Any, status: int, alice: Any, browse: Any
) -> None:
    receiver.order(status, headers={"Location": "http://169.254.169.254/"})
    made = channel("webhook")
    delivery = send(made)
    assert (delivery.status, delivery.next_at, len(receiver.got)) == ("dead", None, 1)
    made.refresh_from_db()
    assert made.failing_since and made.problem.startswith(str(status))
    assert outbox.check()[0] is Status.DEGRADED
    page = browse(alice).get(f"/console/alerts/channels/{made.pk}/").content.decode()
    assert "This channel fails" in page and "Send again" in page and str(status) in page
    browse(alice).post(f"/console/alerts/deliveries/{delivery.id}/resend/")
    dispatch.deliver_due()
    delivery.refresh_from_db()
    made.refresh_from_db()
    assert delivery.status == "sent" and made.failing_since is None
    assert [one.status for one in delivery.tries.order_by("pk")] == [status, 204]


def test_nobody_there_a_broken_connection_and_one_that_says_nothing_are_tried_again(
    channel: Any, receiver: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dagy_console.core.outbound.SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    made = channel("webhook", config={"url": f"http://127.0.0.1:{port}/"})
    receiver.order(0)
    receiver.order(200, wait=2)
    for number, url in enumerate((f"http://127.0.0.1:{port}/", receiver.url, receiver.url)):
        made.config = made.config | {"url": url}
        made.save()
        delivery = send(made, a_message(f"alert:{number}"), key=f"k{number}")
        assert delivery.status == "waiting"
        assert delivery.tries.get().status is None
    assert [one.answer for one in Attempt.objects.order_by("pk")][::2] == [
        "The connection was refused.",
        "There was no answer in time.",
    ]


def test_a_key_is_written_once_however_often_it_is_asked_for(channel: Any, receiver: Any) -> None:
    made = channel("webhook")
    assert send(made) == send(made)
    assert len(receiver.got) == 1


def test_messages_of_one_subject_keep_their_order_and_hold_up_no_other(channel: Any, receiver: Any) -> None:
    made = channel("webhook")
    receiver.order(500)
    first = send(made, a_message("alert:1"), key="a1")
    second = send(made, a_message("alert:1", event=Event.RESOLVED), key="a2")
    other = send(made, a_message("alert:2"), key="b1")
    assert (first.status, second.status, other.status) == ("waiting", "waiting", "sent")
    due_now()
    dispatch.deliver_due()
    dispatch.deliver_due()
    assert [got.headers["webhook-id"] for got in receiver.got] == ["a1", "b1", "a1", "a2"]


def test_two_workers_at_once_send_it_once(committed: None, channel_committed: Any, receiver: Any) -> None:
    outbox.post(channel_committed, a_message(), key="k1")
    receiver.order(200, wait=0.5)
    sent = at_the_same_moment(*(lambda: dispatch.deliver_due() for _ in range(4)))
    assert sorted(sent) == [0, 0, 0, 1] and len(receiver.got) == 1


@pytest.fixture
def channel_committed(committed: None, receiver: Any, as_actor: Any) -> Channel:
    from tests.console import create_person

    alice = create_person("alice@dagy.example", super_admin=True)
    cache.clear()
    return services.create_channel(
        actor=as_actor(alice), org_id="", name="On-call", channel_type="webhook", config={"url": f"{receiver.url}/hook"}
    )


def test_a_message_of_a_transaction_that_fails_was_never_there(channel: Any, receiver: Any) -> None:
    made = channel("webhook")
    with pytest.raises(RuntimeError), transaction.atomic():
        outbox.post(made, a_message(), key="k1")
        raise RuntimeError
    assert dispatch.deliver_due() == 0 and not Delivery.objects.exists()


def test_what_a_channel_refuses_goes_to_the_last_resort_with_the_reason(channel: Any, receiver: Any) -> None:
    made = channel("webhook", org_id="")
    channel("slack", name="Ops", is_last_resort=True)
    receiver.order(404)
    send(made)
    dispatch.deliver_due()
    told = receiver.got[1].json
    assert "On-call did not take this (404)" in str(told["blocks"])
    assert Delivery.objects.get(key="k1:undelivered").status == "sent"


def test_after_the_last_try_it_is_given_up(channel: Any, receiver: Any) -> None:
    made = channel("webhook")
    delivery = outbox.post(made, a_message(), key="k1")
    for _ in range(len(dispatch.PAUSES) + 1):
        receiver.order(503)
        due_now()
        dispatch.deliver_due()
    delivery.refresh_from_db()
    assert (delivery.status, delivery.attempts) == ("dead", len(dispatch.PAUSES) + 1)


def test_a_config_that_nothing_can_be_sent_by_stops_no_other_channel_and_is_told_of(
    channel: Any, receiver: Any
) -> None:
    broken, sound = channel("webhook", name="Broken"), channel("slack", name="Sound")
    broken.config = broken.config | {"secret": "whsec_5"}
    broken.save()
    first = outbox.post(broken, a_message(), key="k1")
    second = send(sound)
    first.refresh_from_db()
    assert second.status == "sent"
    assert first.status == "waiting" and first.attempts == 1 and first.next_at > timezone.now()
    broken.refresh_from_db()
    assert "The console failed at it" in broken.problem


@pytest.mark.slow("waits until the broker is given up")
def test_a_message_waits_for_beat_where_the_broker_is_down(
    channel_committed: Any, receiver: Any, no_broker: None
) -> None:
    with transaction.atomic():
        outbox.post(channel_committed, a_message(), key="k1")
    assert dispatch.deliver_due() == 1 and len(receiver.got) == 1

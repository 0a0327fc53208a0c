"""The addresses of an email channel: each is asked first, gets mails of its own, and stops them by itself."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from dagy_console.accounts.models import User
from dagy_console.alerts import dispatch, outbox, recipients
from dagy_console.alerts.channels import services
from dagy_console.alerts.models import Attempt, Channel, Delivery, Recipient
from dagy_console.audit.models import AuditEntry
from dagy_console.core.errors import Conflict, Invalid
from dagy_console.core.models import OutgoingMail
from dagy_console.core.smtp import deliver_due as deliver_mails
from tests.alerts.conftest import a_message, due_now, send

Mailed = Callable[..., Channel]


@pytest.fixture
def mailed(bob: User, as_actor: Any, smtp: Any) -> Mailed:
    """Makes an email channel of an organization, of which nobody has said yes."""

    def make(*to: str, name: str = "Mail") -> Channel:
        config = {"to": list(to or ("ops@blue.example",))}
        return services.create_channel(
            actor=as_actor(bob), org_id="org_blue", name=name, channel_type="email", config=config
        )

    return make


def mails(smtp: Any) -> list[tuple[str, Any]]:
    """What the server took, the outbox of the console's own mails sent first."""
    deliver_mails()
    return [(to, message) for (to,), message in smtp.taken]


def link_in(message: Any, kind: str) -> str:
    body = message.get_body(("plain",)).get_content()
    found = re.search(rf"https?://\S+(/alerts/{kind}/\S+/)", body)
    assert found, body
    return found[1]


def test_a_new_address_is_asked_and_gets_nothing_before_its_owner_said_yes(
    mailed: Mailed,
    smtp: Any,
    client: Client,
) -> None:
    made = mailed()
    refused = send(made)
    assert (refused.status, refused.recipient) == ("dead", "")
    assert "no address of it has confirmed" in Attempt.objects.get().answer
    ((to, asked),) = mails(smtp)
    assert to == "ops@blue.example" and "bob@blue.example wants the alerts of org_blue" in asked.get_content()
    link = link_in(asked, "confirm")
    assert "Send them here" in client.get(link).content.decode()
    assert made.recipients.get().state == "asked", "a mail scanner opens every link"
    assert "sent here from now on" in client.post(link).content.decode()
    assert send(made, key="k2").status == "sent"
    entry = AuditEntry.objects.get(action="channel.recipient_confirmed")
    assert (entry.actor_email, entry.org_id, entry.resource_id) == ("ops@blue.example", "org_blue", str(made.pk))


def test_who_signs_in_here_is_not_asked_but_only_for_what_is_of_their_own_organization(
    mailed: Mailed, vera: User, charlie: User, alice: User
) -> None:
    made = mailed(vera.email, charlie.email, alice.email)
    states = {one.address: one.state for one in made.recipients.all()}
    assert states == {vera.email: "confirmed", charlie.email: "asked", alice.email: "asked"}


def test_each_gets_a_mail_of_its_own_and_one_that_is_refused_costs_no_other(
    mailed: Mailed,
    smtp: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = mailed("a@blue.example", "b@blue.example")
    made.recipients.update(confirmed_at=timezone.now())
    smtp.refused = "a@blue.example"
    outbox.post(made, a_message(), key="k1")
    dispatch.deliver_due()
    told = {row.recipient: row.status for row in Delivery.objects.all()}
    assert told == {"a@blue.example": "dead", "b@blue.example": "sent"}
    made.refresh_from_db()
    assert made.failing_since and made.problem_of == "a@blue.example"
    due_now()
    dispatch.deliver_due()
    assert [to for (to,), _ in smtp.taken] == ["b@blue.example"]
    smtp.refused = ""
    outbox.post(made, a_message(), key="k2")
    dispatch.deliver_due()
    made.refresh_from_db()
    assert made.failing_since is None
    assert len({message["Message-ID"] for _, message in smtp.taken}) == 3


def test_a_mail_says_how_to_stop_it_in_the_way_of_mail_programs(mailed: Mailed, smtp: Any) -> None:
    made = mailed()
    made.recipients.update(confirmed_at=timezone.now())
    send(made)
    message = smtp.taken[-1][1]
    link = link_in(message, "stop")
    assert message["List-Unsubscribe"].strip("<>").endswith(link)
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    one_click = Client(enforce_csrf_checks=True)
    assert one_click.get(link).status_code == 200 and made.recipients.get().state == "confirmed"
    assert one_click.post(link, {"List-Unsubscribe": "One-Click"}).status_code == 200
    assert made.recipients.get().state == "stopped"
    assert send(made, key="k2").status == "dead"
    assert AuditEntry.objects.get(action="channel.recipient_stopped").actor_email == "ops@blue.example"
    assert one_click.post(link, {"again": "1"}).status_code == 200
    assert send(made, key="k3").status == "sent"


def test_who_named_an_address_that_wants_no_more_can_not_make_it_take_mails_again(
    mailed: Mailed,
    bob: User,
    as_actor: Any,
    smtp: Any,
) -> None:
    made = mailed()
    recipients.stop(made.recipients.get(), actor=as_actor(bob))
    for to in (["other@blue.example"], ["ops@blue.example"]):
        services.change_channel(actor=as_actor(bob), channel_id=made.pk, config={"to": to})
    assert made.recipients.get(address="ops@blue.example").state == "stopped"
    assert not made.recipients.get(address="other@blue.example").is_listed
    assert [to for to, _ in mails(smtp)] == ["ops@blue.example", "other@blue.example", "ops@blue.example"]


def test_a_link_is_sent_again_after_a_while_and_nobody_is_asked_without_end(
    mailed: Mailed, bob: User, as_actor: Any
) -> None:
    made = mailed()
    with pytest.raises(Conflict, match="within the last 10 min"):
        services.ask_recipients(actor=as_actor(bob), channel_id=made.pk)
    Recipient.objects.update(asked_at=timezone.now() - timedelta(minutes=11))
    services.ask_recipients(actor=as_actor(bob), channel_id=made.pk)
    assert AuditEntry.objects.get(action="channel.recipient_asked").after == {"addresses": ["ops@blue.example"]}
    for number in range(recipients.MOST_ASKED - 2):
        mailed(name=f"Mail {number}")
    with pytest.raises(Invalid, match="was asked 5 times within"):
        mailed(name="One more")
    assert OutgoingMail.objects.filter(to=["ops@blue.example"]).count() == recipients.MOST_ASKED
    made.recipients.update(confirmed_at=timezone.now())
    with pytest.raises(Conflict, match="each address of it has answered"):
        services.ask_recipients(actor=as_actor(bob), channel_id=made.pk)


def test_a_changed_or_old_link_does_nothing(mailed: Mailed, smtp: Any, client: Client) -> None:
    made = mailed()
    link = link_in(mails(smtp)[0][1], "confirm")
    assert client.post(link.replace("confirm", "stop")).status_code == 404
    refused = client.post(f"{link[:-3]}xy/")
    assert refused.status_code == 404 and refused["Content-Type"].startswith("text/html")
    assert "too old, or not whole" in refused.content.decode()
    made.delete()
    assert client.post(link).status_code == 404


def test_the_page_and_the_api_say_what_each_address_said(mailed: Mailed, browse: Any, bob: User, api: Any) -> None:
    made = mailed("a@blue.example", "b@blue.example", "c@blue.example")
    made.recipients.filter(address__startswith="a").update(confirmed_at=timezone.now())
    made.recipients.filter(address__startswith="b").update(stopped_at=timezone.now())
    page = browse(bob).get(f"/console/alerts/channels/{made.pk}/").content.decode()
    assert all(words in page for words in ("takes its mails", "wants no more", "asked, nothing is sent there yet"))
    assert "Send the link again" in page
    told = api(bob).get(f"/notifications/channels/{made.pk}").json()["recipients"]
    assert [(one["address"][0], one["state"]) for one in told] == [("a", "confirmed"), ("b", "stopped"), ("c", "asked")]
    assert api(bob).post(f"/notifications/channels/{made.pk}/ask").status_code == 409
    pressed = browse(bob).post(f"/console/alerts/channels/{made.pk}/ask/", follow=True)
    assert "within the last 10 min" in pressed.content.decode()

"""Channels are made, changed, tested and deleted, by page and API, on record; what is secret of them is told once."""

from typing import Any

import pytest

from dagy_console.alerts import dispatch
from dagy_console.alerts.channels import services
from dagy_console.alerts.models import Channel, Delivery
from dagy_console.alerts.rules import services as rules
from dagy_console.audit.models import AuditEntry
from dagy_console.core.errors import Invalid
from tests.alerts.conftest import CONFIGS, send

URL = "/console/alerts/channels/"


@pytest.mark.parametrize("kind", CONFIGS)
def test_a_channel_is_made_by_the_api_and_its_secrets_are_masked(
    api: Any, alice: Any, receiver: Any, kind: str
) -> None:
    given = CONFIGS[kind](receiver.url)
    body = {"name": "On-call", "channel_type": kind, "config": given}
    made = api(alice).post("/notifications/channels", body, content_type="application/json")
    assert made.status_code == 201, made.content
    told = made.json()
    assert told["org_id"] is None and told["config"].keys() >= given.keys()
    if kind == "webhook":
        assert told.pop("secret").startswith("whsec_")
    kept = Channel.objects.get()
    assert kept.config.items() >= given.items()
    for text in (str(told), str(list(AuditEntry.objects.values("after", "changes")))):
        assert "secretsecret" not in text and "R" * 32 not in text and "whsec_" not in text
    assert str(given) not in kept.encrypted
    assert AuditEntry.objects.filter(action="channel.created", resource_id=told["id"]).exists()


@pytest.mark.parametrize(
    ("kind", "config", "field"),
    [
        ("slack", {}, "config.webhook_url"),
        ("slack", {"webhook_url": "https://evil.example/services/x"}, "config.webhook_url"),
        ("slack", {"webhook_url": 7}, "config.webhook_url"),
        ("email", {"to": []}, "config.to"),
        ("email", {"to": ["nobody"]}, "config.to"),
        ("email", {"to": "a@b.example"}, "config.to"),
        ("email", {"to": [5]}, "config.to"),
        ("email", {"to": [["a@b.example"]]}, "config.to"),
        ("email", {"to": ["a@\ud800.example"]}, "config.to"),
        ("webhook", {"url": "https://ok.example/", "previous_secret": 5}, "config.previous_secret"),
        ("webhook", {"url": "https://ok.example/", "previous_secret": "x"}, "config.previous_secret"),
        ("webhook", {"url": "https://例え.example/"}, "config.url"),
        ("email", {"to": ["a@b.example"] * 21}, "config.to"),
        ("webhook", {"url": "http://10.0.0.1/"}, "config.url"),
        ("webhook", {"url": "https://ok.example/", "secret": "short"}, "config.secret"),
        ("webhook", {"url": "https://ok.example/", "colour": "red"}, "config.colour"),
        ("pagerduty", {"routing_key": "short"}, "config.routing_key"),
        ("carrier pigeon", {}, "channel_type"),
    ],
)
def test_what_is_wrong_is_said_at_its_field_and_nothing_is_kept(
    api: Any, alice: Any, kind: str, config: dict[str, Any], field: str
) -> None:
    body = {"name": "x", "channel_type": kind, "config": config}
    answer = api(alice).post("/notifications/channels", body, content_type="application/json")
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert not Channel.objects.exists()


def test_members_have_their_organizations_channels_and_nothing_of_the_platforms(
    api: Any, channel: Any, alice: Any, bob: Any, charlie: Any, vera: Any, as_actor: Any
) -> None:
    platform = channel("webhook", name="Platform")
    own = services.create_channel(
        actor=as_actor(bob), org_id="org_blue", name="Blue", channel_type="email", config={"to": ["a@blue.example"]}
    )
    listed = api(bob).get("/notifications/channels").json()["items"]
    assert [item["id"] for item in listed] == [str(own.pk)]
    assert api(bob).get(f"/notifications/channels/{platform.pk}").status_code == 404
    assert api(charlie).delete(f"/notifications/channels/{own.pk}").status_code in (403, 404)
    assert api(vera).get("/notifications/channels").status_code == 403
    body = {"name": "x", "channel_type": "email", "config": {"to": ["a@b.example"]}, "org_id": "org_red"}
    assert api(bob).post("/notifications/channels", body, content_type="application/json").status_code == 403


def test_a_member_is_not_told_what_an_address_answers(
    api: Any, receiver: Any, alice: Any, bob: Any, as_actor: Any
) -> None:
    own = services.create_channel(
        actor=as_actor(bob), org_id="org_blue", name="Blue", channel_type="webhook", config={"url": receiver.url}
    )
    receiver.order(404)
    send(own)
    (mine,) = api(bob).get("/notifications/deliveries").json()["items"]
    assert (mine["attempts"][0]["status"], mine["attempts"][0]["answer"]) == (404, None)
    (all_of_it,) = api(alice).get("/notifications/deliveries", {"status": "dead"}).json()["items"]
    assert all_of_it["attempts"][0]["answer"] == "as ordered"
    assert api(bob).get(f"/notifications/channels/{own.pk}").json()["problem"] == "404"


def test_a_config_is_given_whole_and_its_secrets_stay(channel: Any, alice: Any, as_actor: Any, receiver: Any) -> None:
    made = channel("webhook")
    changed = services.change_channel(
        actor=as_actor(alice), channel_id=made.pk, name="Other", config={"url": f"{receiver.url}/other"}
    )
    assert (changed.name, changed.config) == ("Other", {**made.config, "url": f"{receiver.url}/other"})
    entry = AuditEntry.objects.get(action="channel.changed")
    assert entry.changes["name"] == ["On-call", "Other"]
    with pytest.raises(Invalid):
        channel("email", name="Other")


def test_a_test_message_is_sent_and_on_record(api: Any, channel: Any, alice: Any, receiver: Any) -> None:
    made = channel("slack")
    told = api(alice).post(f"/notifications/channels/{made.pk}/test")
    assert told.status_code == 202 and told.json()["event"] == "test"
    dispatch.deliver_due()
    assert "Test of the channel On-call" in str(receiver.got[0].json)
    assert AuditEntry.objects.filter(action="channel.tested").exists()
    again = api(alice).post(f"/notifications/deliveries/{told.json()['id']}/resend")
    assert again.status_code == 202
    assert api(alice).post(f"/notifications/deliveries/{told.json()['id']}/resend").status_code == 409


def test_a_channel_is_made_and_tested_by_the_pages_without_javascript(browse: Any, alice: Any, receiver: Any) -> None:
    browser = browse(alice)
    wrong = browser.post(f"{URL}new/", {"name": "Ops", "channel_type": "webhook", "url": "http://10.0.0.1/"})
    assert wrong.status_code == 422 and "The address must begin with https://" in wrong.content.decode()
    made = browser.post(f"{URL}new/", {"name": "Ops", "channel_type": "webhook", "url": f"{receiver.url}/hook"})
    channel = Channel.objects.get()
    assert made.status_code == 200 and channel.config["secret"] in made.content.decode()
    page = f"{URL}{channel.pk}/"
    assert channel.config["secret"] not in browser.get(page).content.decode()
    assert browser.post(f"{page}test/").status_code == 302
    dispatch.deliver_due()
    shown = browser.get(page).content.decode()
    assert "Test of the channel Ops" in shown and "204" in shown
    assert "Ops" in browser.get(URL).content.decode()
    assert "Test of the channel Ops" in browser.get("/console/alerts/deliveries/").content.decode()
    assert browser.post(page, {"name": "Ops 2", "url": ""}).status_code == 302
    channel.refresh_from_db()
    assert (channel.name, channel.config["url"]) == ("Ops 2", f"{receiver.url}/hook")
    assert channel.config["secret"] not in browser.post(f"{page}rotate/").content.decode()
    assert browser.post(f"{page}delete/").status_code == 302
    assert not Channel.objects.exists() and not Delivery.objects.exists()
    assert AuditEntry.objects.filter(action="channel.deleted").exists()


def test_an_email_channel_is_made_by_its_form(browse: Any, alice: Any) -> None:
    given = {"name": "Mail", "channel_type": "email", "to": "a@b.example, c@d.example", "is_last_resort": "on"}
    assert browse(alice).post(f"{URL}new/", given).status_code == 302
    kept = Channel.objects.get()
    assert kept.config == {"to": ["a@b.example", "c@d.example"]} and kept.is_last_resort


def test_a_channel_that_is_deleted_is_taken_out_of_the_steps_of_rules(
    channel: Any, rule: Any, alice: Any, as_actor: Any
) -> None:
    gone, stays = channel("webhook", name="Gone"), channel("webhook", name="Stays")
    steps = [
        {"after_seconds": 60, "channel_ids": [str(gone.pk)], "rotation_ids": []},
        {"after_seconds": 120, "channel_ids": [str(gone.pk), str(stays.pk)], "rotation_ids": []},
    ]
    made = rule(channel_ids=[gone.pk, stays.pk], escalation=steps)
    services.delete_channel(actor=as_actor(alice), channel_id=gone.pk)
    made.refresh_from_db()
    assert made.escalation == [{"after_seconds": 120, "channel_ids": [str(stays.pk)], "rotation_ids": []}]
    rules.change_rule(actor=as_actor(alice), rule_id=made.pk, name="Other")

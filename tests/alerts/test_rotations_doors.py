"""Rotations by the API, and by pages that work without JavaScript."""

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from dagy_console.alerts.models import Override, Rotation
from dagy_console.alerts.on_call import WEEK
from dagy_console.core.times import to_rfc3339

API, PAGES, JSON = "/notifications/rotations", "/console/alerts/on-call/", "application/json"


def test_by_the_api(api: Any, alice: Any, people: Any) -> None:
    ann, ben = people("ann", "ben")
    begins = to_rfc3339(timezone.now().replace(microsecond=0) - timedelta(hours=1))
    body = {"name": "Night", "channel_ids": [str(ann.pk), str(ben.pk)], "time_zone": "UTC", "starts_at": begins}
    client = api(alice)
    made = client.post(API, body, content_type=JSON)
    assert made.status_code == 201, made.json()
    told = made.json()
    assert told.items() >= (body | {"org_id": None, "overrides": [], "created_by": "alice@dagy.example"}).items()
    until = to_rfc3339(datetime.fromisoformat(begins) + WEEK)
    assert told["on_call"] == {"channel_id": str(ann.pk), "name": "ann", "until": until, "override": False}
    url = f"{API}/{told['id']}"
    override = client.post(
        f"{url}/overrides", {"channel_id": str(ben.pk), "until": "4h", "reason": "ill"}, content_type=JSON
    )
    assert override.status_code == 201 and override.json()["name"] == "ben", override.json()
    shown = client.get(url).json()
    assert shown["overrides"] == [override.json()]
    assert shown["on_call"]["name"] == "ben" and shown["on_call"]["override"]
    assert shown["on_call"]["until"] == override.json()["until"]
    again = client.post(f"{url}/overrides", {"channel_id": str(ben.pk), "until": "2h"}, content_type=JSON)
    assert again.status_code == 422 and again.json()["errors"][0]["field"] == "starts_at"
    assert client.delete(f"{url}/overrides/{override.json()['id']}").status_code == 204
    assert client.delete(f"{url}/overrides/{override.json()['id']}").status_code == 409
    changed = client.patch(url, {"name": "Nights", "channel_ids": [str(ben.pk)]}, content_type=JSON).json()
    assert (changed["name"], changed["on_call"]["name"], changed["overrides"]) == ("Nights", "ben", [])
    for wrong, field in (
        ({"starts_at": "noon"}, "starts_at"),
        ({"starts_at": ""}, "starts_at"),
        ({"channel_ids": []}, "channel_ids"),
        ({"time_zone": "CEST?"}, "time_zone"),
    ):
        refused = client.patch(url, wrong, content_type=JSON)
        assert refused.status_code == 422 and refused.json()["errors"][0]["field"] == field
    assert [one["name"] for one in client.get(API, {"time_zone": "UTC"}).json()["items"]] == ["Nights"]
    assert client.delete(url).status_code == 204 and client.get(url).status_code == 404


def test_a_rule_names_rotations_by_the_api(api: Any, alice: Any, rotation: Any) -> None:
    made, client = rotation(), api(alice)
    body = {
        "name": "Exceptions",
        "measure": "exception_count",
        "window_seconds": 300,
        "condition": {"op": "above", "value": 2},
        "rotation_ids": [str(made.pk)],
        "escalation": [{"after_seconds": 300, "rotation_ids": [str(made.pk)]}],
    }
    rule = client.post("/notifications/rules", body, content_type=JSON)
    assert rule.status_code == 201, rule.json()
    assert rule.json()["rotation_ids"] == [str(made.pk)] and rule.json()["channel_ids"] == []
    assert rule.json()["escalation"] == [{"after_seconds": 300, "channel_ids": [], "rotation_ids": [str(made.pk)]}]
    refused = client.delete(f"{API}/{made.pk}")
    assert refused.status_code == 409 and "Exceptions" in refused.json()["detail"]
    url = f"/notifications/rules/{rule.json()['id']}"
    wrong = client.patch(url, {"escalation": [{"after_seconds": 300}]}, content_type=JSON)
    assert wrong.status_code == 422 and wrong.json()["errors"][0]["field"] == "escalation"
    assert client.patch(url, {"rotation_ids": [], "escalation": []}, content_type=JSON).json()["rotation_ids"] == []
    assert client.delete(f"{API}/{made.pk}").status_code == 204


def test_many_are_listed_by_as_few_queries_as_one(api: Any, alice: Any, rotation: Any, people: Any) -> None:
    (ben,) = people("ben")

    def asked() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert api(alice).get(API).status_code == 200
        return len(queries)

    first, now = rotation(), timezone.now()
    Override.objects.create(rotation=first, channel=ben, starts_at=now, until=now + WEEK, created_by="x")
    few = asked()
    for number in range(5):
        made = rotation(ben, name=f"Night {number}")
        Override.objects.create(rotation=made, channel=ben, starts_at=now, until=now + WEEK, created_by="x")
    assert asked() == few


def test_one_is_made_changed_and_deleted_by_pages(browse: Any, alice: Any, people: Any) -> None:
    ann, ben = people("ann", "ben")
    browser = browse(alice)
    form = browser.get(f"{PAGES}new/").context["form"]
    assert form["starts_at"].value().endswith("T09:00") and len(form.turns) == 6
    given = {
        "name": "Night",
        "org_id": "",
        "time_zone": "Europe/Berlin",
        "starts_at": f"{timezone.now() - timedelta(days=2):%Y-%m-%dT09:00}",
        "turn_1": str(ann.pk),
        "turn_3": str(ben.pk),
    }
    wrong = browser.post(f"{PAGES}new/", given | {"time_zone": "Mars", "starts_at": "monday", "turn_1": ""})
    assert wrong.status_code == 422
    assert wrong.context["form"].errors.keys() == {"time_zone", "starts_at", "turn_1"}
    made = browser.post(f"{PAGES}new/", given, follow=True)
    rotation = Rotation.objects.get()
    assert rotation.channel_ids == [str(ann.pk), str(ben.pk)]
    begins = datetime.fromisoformat(given["starts_at"]).replace(tzinfo=ZoneInfo("Europe/Berlin"))
    assert rotation.starts_at == begins
    page = made.content.decode()
    assert "<strong><bdi>ann</bdi></strong> is on call" in page and "at 09:00 Europe/Berlin" in page
    assert [(row["name"], row["is_now"]) for row in made.context["shifts"]] == [
        ("ann", True), *((name, False) for name in ["ben", "ann"] * 4)
    ]  # fmt: skip
    listed = browser.get(PAGES).content.decode()
    assert "Night" in listed and "<bdi>ann</bdi>" in listed and "<bdi>ben</bdi>" in listed
    url = f"{PAGES}{rotation.pk}/change/"
    shown = browser.get(url).context["form"]
    kept = {field.html_name: field.value() or "" for field in shown}
    assert kept["turn_2"] == str(ben.pk) and kept["starts_at"] == given["starts_at"] and len(shown.turns) == 6
    assert browser.post(url, kept | {"turn_1": str(ben.pk), "turn_2": str(ann.pk)}).status_code == 302
    rotation.refresh_from_db()
    assert rotation.channel_ids == [str(ben.pk), str(ann.pk)] and rotation.starts_at != begins
    assert browser.get(f"{PAGES}{rotation.pk}/").context["rotation"]["on_call"] == "ann"
    taken = browser.post(f"{PAGES}new/", given)
    assert taken.status_code == 422 and "name" in taken.context["form"].errors
    assert browser.post(f"{PAGES}{rotation.pk}/delete/").status_code == 302 and not Rotation.objects.exists()


def test_somebody_is_put_on_call_for_a_while_by_its_page(browse: Any, alice: Any, rotation: Any, people: Any) -> None:
    (ben,) = people("ben")
    made, browser = rotation(), browse(alice)
    url = f"{PAGES}{made.pk}/"
    given = {"channel_id": str(ben.pk), "until": "1d", "starts_at": "", "reason": "ill"}
    wrong = browser.post(f"{url}overrides/", given | {"until": "noon"})
    assert wrong.status_code == 422 and "until" in wrong.context["form"].errors
    page = browser.post(f"{url}overrides/", given, follow=True)
    assert page.context["rotation"]["on_call"] == "ben" and "stands in" in page.content.decode()
    again = browser.post(f"{url}overrides/", given)
    assert again.status_code == 422 and "another override" in again.content.decode()
    end = f"{url}overrides/{Override.objects.get().pk}/end/"
    assert f'action="{end}"' in page.content.decode()
    assert browser.post(end, follow=True).context["rotation"]["on_call"] == "turn"
    assert "It is over already." in browser.post(end, follow=True).content.decode()


def test_a_rules_form_names_rotations_at_once_and_by_a_step(browse: Any, alice: Any, rotation: Any, rule: Any) -> None:
    made, browser = rotation(), browse(alice)
    watched = rule(channel_ids=[])
    url = f"/console/alerts/rules/{watched.pk}/"
    form = browser.get(url).context["form"]
    kept = {field.html_name: field.value() for field in form if field.value() not in (None, [])}
    chosen = {"rotation_ids": [str(made.pk)], "step1_after": "600", "step1_rotations": [str(made.pk)]}
    assert browser.post(url, kept | chosen).status_code == 302
    watched.refresh_from_db()
    assert list(watched.rotations.all()) == [made]
    assert watched.escalation == [{"after_seconds": 600, "channel_ids": [], "rotation_ids": [str(made.pk)]}]
    page = browser.get(url)
    shown = page.context["form"]
    assert shown["rotation_ids"].value() == shown["step1_rotations"].value() == [str(made.pk)]
    assert "whoever is on call of" in page.content.decode()
    assert "who is on call of 1 rotation after 10 min" in page.content.decode()
    assert "told to nobody" not in browser.get("/console/alerts/rules/").content.decode()
    assert "Exceptions" in browser.get(f"{PAGES}{made.pk}/").content.decode()
    nobody = browser.post(url, kept | {"step1_after": "600"})
    assert nobody.status_code == 422 and "with channels or rotations" in nobody.content.decode()


def test_one_that_rules_tell_stays_and_its_page_says_which(browse: Any, alice: Any, rotation: Any, rule: Any) -> None:
    made = rotation()
    rule(rotation_ids=[made.pk], channel_ids=[])
    page = browse(alice).post(f"{PAGES}{made.pk}/delete/", follow=True).content.decode()
    assert "Rules tell whoever is on call of it: Exceptions" in page and Rotation.objects.exists()


def test_an_organizations_owner_sees_its_own_alone(browse: Any, bob: Any, rotation: Any, people: Any) -> None:
    (own,) = people("own", org_id="org_blue")
    platforms = rotation(name="Platform")
    made = Rotation.objects.create(
        organization_id="org_blue", name="Night", channel_ids=[str(own.pk)], time_zone="UTC", starts_at=timezone.now()
    )
    made.channels.set([own])
    page = browse(bob).get(f"{PAGES}{made.pk}/").content.decode()
    assert "Put somebody else on call" in page
    listed = browse(bob).get(PAGES).content.decode()
    assert "Night" in listed and "Platform" not in listed
    assert browse(bob).get(f"{PAGES}{platforms.pk}/").status_code == 404

"""A silence keeps alerts from being told; when it is over, what still fires is."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from dagy_console.alerts import checking
from dagy_console.alerts.firings import services as firings
from dagy_console.alerts.models import Alert, Delivery, Silence
from dagy_console.alerts.silences import ending, services
from dagy_console.audit.models import AuditEntry
from dagy_console.core.errors import Conflict, Invalid, PermissionDenied
from dagy_console.core.models import OutgoingMail
from dagy_console.listing.language import Term
from tests.alerts.conftest import MINUTE, NOW, events, traces

JSON = "application/json"


def silence(*terms: Term, since: datetime = NOW, minutes: int = 10, **more: Any) -> Silence:
    """As it was made then."""
    matchers = [{"key": term.key, "value": term.value, "negated": term.negated} for term in terms]
    until = since + minutes * MINUTE
    told: dict[str, Any] = {"text": "x", "reason": "deploy", "created_by": "ann@dagy.example"}
    return Silence.objects.create(matchers=matchers, starts_at=since, until=until, **(told | more))


def check(clock: Any, minutes: float) -> None:
    clock(NOW + minutes * MINUTE)
    checking.check_due()


def test_what_fires_meanwhile_is_shown_and_told_when_it_is_over(rule: Any, clock: Any) -> None:
    rule(window_seconds=86_400)
    made = silence(Term("rule", "Exc*"))
    traces(3, NOW - MINUTE)
    checking.check_due()
    alert = Alert.objects.get()
    assert (alert.status, alert.is_silenced, alert.silence_id, events()) == ("firing", True, made.pk, [])
    check(clock, 5)
    assert events() == []
    check(clock, 11)
    alert.refresh_from_db()
    assert events() == ["triggered"] and not alert.is_silenced and alert.silence_id == made.pk
    assert "ann@dagy.example had silenced it (deploy); that is over" in Delivery.objects.get().message["text"]


def test_what_clears_meanwhile_is_never_told(rule: Any, clock: Any) -> None:
    rule()
    silence(Term("severity", "warning"))
    traces(3, NOW - MINUTE)
    checking.check_due()
    check(clock, 8)
    check(clock, 12)
    assert Alert.objects.get().status == "resolved" and events() == []


def test_what_was_told_before_is_told_to_be_over_also_meanwhile(rule: Any, clock: Any) -> None:
    rule(repeat_seconds=60)
    traces(3, NOW - MINUTE)
    checking.check_due()
    silence(Term("rule", "*"), since=NOW + MINUTE)
    check(clock, 3)
    assert events() == ["triggered"] and Alert.objects.get().is_silenced
    check(clock, 8)
    assert events() == ["triggered", "resolved"]


def test_an_acknowledgement_under_a_silence_tells_nobody_of_what_they_never_heard(
    rule: Any,
    clock: Any,
    as_actor: Any,
    alice: Any,
) -> None:
    rule(window_seconds=86_400)
    silence(Term("rule", "*"))
    traces(3, NOW - MINUTE)
    checking.check_due()
    firings.acknowledge(actor=as_actor(alice), alert_id=Alert.objects.get().pk)
    assert events() == []


@pytest.mark.parametrize(
    ("terms", "quiet"),
    [
        ([Term("type", "KeyError")], {"type:KeyError"}),
        ([Term("type", "KeyError"), Term("type", "ValueError")], {"type:KeyError", "type:ValueError"}),
        ([Term("rule", "*"), Term("type", "Key*", negated=True)], {"type:ValueError"}),
        ([Term("org", "org_1")], set()),
        ([Term("type", "Key?rror")], set()),
        ([Term("type", "[KV]*")], set()),
        ([Term("severity", "critical")], set()),
    ],
)
def test_it_goes_by_what_it_was_told(rule: Any, clock: Any, terms: list[Term], quiet: set[str]) -> None:
    rule(group_by=["type"], value=0.0)
    silence(*terms)
    traces(40, NOW - MINUTE)
    checking.check_due()
    assert set(Alert.objects.filter(is_silenced=True).values_list("label", flat=True)) == quiet
    assert len(events()) == 2 - len(quiet)


def test_one_of_an_organization_keeps_the_platforms_rules_loud(rule: Any, clock: Any, bob: Any) -> None:
    rule()
    silence(Term("rule", "*"), organization_id="org_blue")
    traces(3, NOW - MINUTE)
    checking.check_due()
    assert events() == ["triggered"]


def test_a_maintenance_window_holds_from_when_it_says(rule: Any, clock: Any) -> None:
    rule(window_seconds=60)
    silence(Term("rule", "*"), since=NOW + 5 * MINUTE)
    for minute in (0, 6):
        traces(3, NOW + (minute - 0.5) * MINUTE, first=minute * 10)
        check(clock, minute)
        check(clock, minute + 2)
    assert events() == ["triggered", "resolved"] and Alert.objects.count() == 2


def test_who_makes_one_says_why_and_it_is_on_record(as_actor: Any, alice: Any, bob: Any) -> None:
    soon = timezone.now() + timedelta(hours=1)
    given: dict[str, Any] = {"org_id": "", "matchers": [Term("rule", "*")], "until": soon, "reason": "deploy"}
    for wrong, field in (
        ({"reason": " "}, "reason"),
        ({"until": timezone.now() - timedelta(1)}, "until"),
        ({"until": soon + timedelta(days=200)}, "until"),
        ({"matchers": []}, "matchers"),
        ({"matchers": [Term("rule", "x", negated=True)]}, "matchers"),
        ({"matchers": [Term("colour", "red")]}, "matchers"),
        ({"matchers": [Term("severity", "loud")]}, "matchers"),
        ({"org_id": "org_none"}, "org_id"),
    ):
        with pytest.raises(Invalid) as refused:
            services.create_silence(actor=as_actor(alice), **(given | wrong))
        assert refused.value.errors[0].field == field
    with pytest.raises(PermissionDenied):
        services.create_silence(actor=as_actor(bob), **given)
    assert services.create_silence(actor=as_actor(bob), **(given | {"org_id": "org_blue"})).organization_id
    made = services.create_silence(actor=as_actor(alice), **given)
    services.end_silence(actor=as_actor(alice), silence_id=made.pk)
    with pytest.raises(Conflict):
        services.end_silence(actor=as_actor(alice), silence_id=made.pk)
    told = list(AuditEntry.objects.filter(resource_id=str(made.pk)).order_by("at").values_list("action", "reason"))
    assert told == [("silence.created", "deploy"), ("silence.ended", "deploy")]


def test_by_the_api(api: Any, alice: Any) -> None:
    body = {"matchers": [{"key": "flow", "value": "nightly*"}], "until": "4h", "reason": "migration"}
    made = api(alice).post("/notifications/silences", body, content_type=JSON)
    assert made.status_code == 201 and made.json()["state"] == "active", made.json()
    assert made.json()["matchers"] == [{"key": "flow", "value": "nightly*", "negated": False}]
    ahead = api(alice).post("/notifications/silences", body | {"starts_at": "1h"}, content_type=JSON)
    assert ahead.json()["state"] == "ahead"
    assert [one["reason"] for one in api(alice).get("/notifications/silences").json()["items"]] == ["migration"] * 2
    url = f"/notifications/silences/{made.json()['id']}"
    assert api(alice).delete(url).status_code == 204 and api(alice).delete(url).status_code == 409
    wrong = api(alice).post("/notifications/silences", body | {"until": "noon"}, content_type=JSON)
    assert wrong.status_code == 422 and wrong.json()["errors"][0]["field"] == "until"


def test_from_an_alerts_page_without_javascript(browse: Any, alice: Any, rule: Any, clock: Any) -> None:
    rule(group_by=["type"], value=0.0, window_seconds=600)
    traces(40, datetime.now(UTC) - MINUTE)
    clock(datetime.now(UTC))
    checking.check_due()
    alert = Alert.objects.get(label="type:KeyError")
    browser = browse(alice)
    page = browser.get(f"/console/alerts/{alert.pk}/").content.decode()
    assert f"/console/alerts/silences/new/?alert={alert.pk}" in page
    form = browser.get(f"/console/alerts/silences/new/?alert={alert.pk}").context["form"]
    assert form["matchers"].value() == "rule:Exceptions type:KeyError"
    given = {
        "matchers": "rule:Exceptions type:KeyError",
        "until": "4h",
        "reason": "known",
        "org_id": "",
        "starts_at": "",
    }
    wrong = browser.post("/console/alerts/silences/new/", given | {"matchers": "colour:red", "until": "noon"})
    assert wrong.status_code == 422 and "no key colour" in wrong.content.decode()
    assert browser.post("/console/alerts/silences/new/", given).status_code == 302
    made = Silence.objects.get()
    clock(datetime.now(UTC) + timedelta(seconds=30))
    checking.check_due()
    shown = browser.get(f"/console/alerts/silences/{made.pk}/").content.decode()
    assert "type:KeyError" in shown and "known" in shown and "silenced" in shown
    assert "silenced" in browser.get("/console/alerts/").content.decode()
    assert browser.get("/console/alerts/silences/").status_code == 200
    assert browser.post(f"/console/alerts/silences/{made.pk}/end/").status_code == 302
    clock(datetime.now(UTC) + timedelta(seconds=60))
    checking.check_due()
    assert "that is over" in Delivery.objects.order_by("number").last().message["text"]


def test_who_made_a_silence_is_told_when_it_is_over_unless_they_ended_it(
    rule: Any, clock: Any, smtp: Any, alice: Any, as_actor: Any
) -> None:
    rule()
    traces(3, NOW - MINUTE)
    mine = {"text": "rule:*", "created_by": alice.email, "minutes": 600}
    made, ended, link = silence(Term("rule", "*"), **mine), silence(Term("org", "x"), **mine), silence(Term("org", "y"))
    checking.check_due()
    services.end_silence(actor=as_actor(alice), silence_id=ended.pk)
    Silence.objects.filter(pk=link.pk).update(created_by="a link in On-call")
    Silence.objects.exclude(pk=ended.pk).update(until=timezone.now() + MINUTE)
    assert ending.tell_ended() == 0
    Silence.objects.update(until=timezone.now() - timedelta(seconds=1))
    assert [ending.tell_ended(), ending.tell_ended()] == [1, 0]
    (row,) = OutgoingMail.objects.all()
    assert (row.to, row.subject) == ([alice.email], "Your silence is over: rule:*")
    assert "kept 1 alert quiet, of which 1 still fires: told from now on" in row.text
    assert f"/console/alerts/silences/{made.pk}/" in row.text

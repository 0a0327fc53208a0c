"""A rule fires once, tells its channels once, and says when it is over; two beats do no harm."""

import importlib
import random
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.apps import apps
from django.core.cache import cache
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from dagy_console.accounts.models import Organization
from dagy_console.alerts import checking, dispatch, heartbeat, outbox, ping, telling
from dagy_console.alerts.channels import services as channels
from dagy_console.alerts.firings import services as firings
from dagy_console.alerts.measures import rows
from dagy_console.alerts.models import Alert, CheckerState, Delivery, Rule
from dagy_console.alerts.rules import services
from dagy_console.alerts.rules.terms import Terms
from dagy_console.audit.actions import Action
from dagy_console.audit.models import AuditEntry
from dagy_console.audit.recorder import record
from dagy_console.core.database import TookTooLong
from dagy_console.core.errors import Conflict, Invalid, Unavailable
from dagy_console.core.health import Status
from dagy_console.exceptions.measures import ExceptionCount, check_soon
from dagy_console.exceptions.models import Trace
from dagy_console.runs.models import Run
from tests.alerts.conftest import MINUTE, USUAL, a_message, due_now, events, look, traces
from tests.console import at_the_same_moment, create_person
from tests.runs.support import a_run
from tests.traces import NOW


def test_a_rule_fires_once_goes_on_and_says_when_it_is_over(rule: Any, clock: Any) -> None:
    rule()
    assert checking.check_due() == 1 and not Alert.objects.exists()
    traces(3, NOW + MINUTE)
    clock(NOW + 2 * MINUTE)
    assert checking.check_due() == 1
    alert = Alert.objects.get()
    assert (alert.status, alert.value, events()) == ("firing", 3.0, ["triggered"])
    message = Delivery.objects.get().message
    assert message["text"] == "3 traces in the last 5 min, above 2."
    assert message["link"].endswith(f"/console/alerts/{alert.pk}/")
    for minute in (3, 4):
        clock(NOW + minute * MINUTE)
        checking.check_due()
    assert events() == ["triggered"]
    clock(NOW + 7 * MINUTE)
    checking.check_due()
    alert.refresh_from_db()
    assert (alert.status, alert.peak, events()) == ("resolved", 3.0, ["triggered", "resolved"])
    assert Delivery.objects.values("subject").distinct().count() == 1
    traces(4, NOW + 8 * MINUTE, first=50)
    clock(NOW + 9 * MINUTE)
    checking.check_due()
    assert (
        Alert.objects.filter(status="firing").count() == 1
        and Delivery.objects.values("subject").distinct().count() == 2
    )


def test_a_message_says_whom_it_hits_the_worst_of_it_and_what_was_changed_before(
    rule: Any, clock: Any, as_actor: Any, alice: Any, browse: Any
) -> None:
    clock(datetime.now(UTC) + 1.5 * MINUTE)
    record(Action.FLOW_DEPLOYED, actor=as_actor(alice), resource_type="flow", resource_name="nightly", org_id="org_1")
    rule(query="type:KeyError", value=0.0)
    traces(30, datetime.now(UTC) - MINUTE)
    checking.check_due()
    facts = Delivery.objects.get().message["facts"]
    assert facts["most of it"].endswith("of KeyError: words of all kinds") and facts["hits"] == "3 organizations"
    assert facts["changed before"] == "alice@dagy.example, 1 min before: Deployed a version of a flow nightly"
    page = browse(alice).get(f"/console/alerts/{Alert.objects.get().pk}/").content.decode()
    assert "/console/exceptions/?q=type%3AKeyError+after%3A" in page


def test_what_takes_too_long_to_say_is_left_out_and_keeps_nothing_from_being_told(
    rule: Any, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(*_: Any) -> dict[str, str]:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(5)")
        return {}

    monkeypatch.setattr(ExceptionCount, "details", slow)
    rule()
    traces(3, NOW - MINUTE)
    checking.check_due()
    assert events() == ["triggered"] and "most of it" not in Delivery.objects.get().message["facts"]


def test_one_that_cannot_be_written_stops_no_other(rule: Any, clock: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = rule()
    rule(name="Other", channel_ids=[])
    traces(3, NOW - MINUTE)
    real = telling.tell

    def tell(told: Rule, *given: Any, **more: Any) -> None:
        if told.pk == broken.pk:
            raise DatabaseError("full")
        real(told, *given, **more)

    monkeypatch.setattr(telling, "tell", tell)
    checking.check_due()
    broken.refresh_from_db()
    assert "could not be written" in broken.problem
    assert [alert.rule.name for alert in Alert.objects.all()] == ["Other"]


def test_a_worker_that_hangs_within_its_round_keeps_no_other_from_checking(
    committed: None, empty_index: None, receiver: Any, as_actor: Any
) -> None:
    cache.clear()
    actor = as_actor(create_person("alice@dagy.example", super_admin=True))
    look(datetime.now(UTC))
    services.create_rule(actor=actor, org_id="", terms=Terms(**(USUAL | {"window_seconds": 3_600})))
    traces(3, datetime.now(UTC) - MINUTE)
    heartbeat.load()

    def hang() -> None:
        with transaction.atomic():
            CheckerState.objects.select_for_update().get(pk=1)
            time.sleep(2)

    def check() -> float:
        time.sleep(0.3)
        began = time.monotonic()
        assert checking.check_due() == 1
        return time.monotonic() - began

    _, seconds = at_the_same_moment(hang, check)
    assert seconds < 1 and Alert.objects.get().status == "firing"
    Rule.objects.all().delete()


def test_what_flaps_is_held_open_until_it_is_quiet(rule: Any, clock: Any) -> None:
    rule(window_seconds=60)
    for number in range(8):
        traces(3, NOW + (number * 3 - 0.5) * MINUTE, first=number * 10)
        clock(NOW + number * 3 * MINUTE)
        checking.check_due()
        clock(NOW + (number * 3 + 1) * MINUTE)
        checking.check_due()
    assert events() == ["triggered", "resolved"] * 2 + ["triggered"]
    assert "It flaps: 3 times within an hour." in Delivery.objects.order_by("-number")[0].message["text"]
    clock(NOW + 36 * MINUTE)
    checking.check_due()
    assert Alert.objects.filter(status="firing").count() == 1
    clock(NOW + 38 * MINUTE)
    checking.check_due()
    assert events()[-1] == "resolved" and Alert.objects.count() == 3


def test_the_next_are_told_where_nobody_acknowledges_it(
    rule: Any, channel: Any, clock: Any, as_actor: Any, alice: Any
) -> None:
    first, second, third = (channel("webhook", name=name).pk for name in ("first", "second", "third"))
    steps = [{"after_seconds": after, "channel_ids": [who]} for after, who in ((120, second), (300, third))]
    rule(channel_ids=[first], escalation=steps, window_seconds=600)
    traces(3, NOW - MINUTE)

    def told() -> dict[str, list[str]]:
        rows = Delivery.objects.order_by("number").values_list("channel__name", "message__event")
        return {name: [event for other, event in rows if other == name] for name, _ in rows}

    for minute in (0, 1, 2, 3):
        clock(NOW + minute * MINUTE)
        checking.check_due()
    assert told() == {"first": ["triggered"], "second": ["triggered"]}
    assert "Nobody has acknowledged it for 2 min." in Delivery.objects.get(channel=second).message["text"]
    assert Delivery.objects.values("subject").distinct().count() == 1
    firings.acknowledge(actor=as_actor(alice), alert_id=Alert.objects.get().pk)
    clock(NOW + 6 * MINUTE)
    checking.check_due()
    assert list(told().values()) == [["triggered", "acknowledged"]] * 2
    clock(NOW + 15 * MINUTE)
    checking.check_due()
    assert told()["second"] == ["triggered", "acknowledged", "resolved"] and "third" not in told()


def test_what_has_just_come_in_is_looked_at_at_once(rule: Any, clock: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    rule()
    rule(name="Long", window_seconds=3_600, channel_ids=[])
    rule(name="Runs", measure="run_failed", channel_ids=[])
    checking.check_due()
    sent: list[Any] = []
    monkeypatch.setattr(checking.current_app, "send_task", lambda name, args, **_: sent.append((name, args)))
    for _ in range(5):
        check_soon()
    assert len(sent) == 1 and "exception_count" in sent[0][1][0]
    traces(3, NOW)
    clock(NOW + timedelta(seconds=2))
    before = Rule.objects.get(name="Runs").checked_at
    assert checking.check_due(fresh=["exception_count"]) >= 1
    assert Alert.objects.get(rule__name="Exceptions").status == "firing"
    assert Rule.objects.get(name="Runs").checked_at in (before, checking.timezone.now())


def test_long_windows_are_checked_less_often_and_not_all_at_once(rule: Any, clock: Any) -> None:
    for number in range(12):
        rule(name=f"r{number}", window_seconds=86_400, channel_ids=[])
    assert checking.check_due() == 12
    checks = []
    for second in range(10, 130, 10):
        clock(NOW + timedelta(seconds=second))
        checks.append(checking.check_due())
    assert sum(checks) == 24 and max(checks) < 12
    assert checking.every(Rule.objects.first()) == MINUTE  # type: ignore[arg-type]


def test_it_is_checked_every_ten_seconds_and_not_more_often(rule: Any, clock: Any) -> None:
    rule()
    assert [checking.check_due(), checking.check_due()] == [1, 0]
    clock(NOW + timedelta(seconds=10))
    assert checking.check_due() == 1


def test_while_the_index_stands_still_nothing_is_called_resolved(rule: Any, clock: Any) -> None:
    made, quiet = rule(), rule(name="Quiet", op="below", value=1.0, channel_ids=[])
    traces(3, NOW - MINUTE)
    checking.check_due()
    look(datetime.now(UTC) - timedelta(minutes=5))
    clock(NOW + 20 * MINUTE)
    checking.check_due()
    made.refresh_from_db()
    quiet.refresh_from_db()
    assert [alert.rule_id for alert in Alert.objects.filter(status="firing")] == [made.pk]
    assert "last look 5 min ago" in made.problem and "not called resolved" in made.problem and not quiet.problem
    look(datetime.now(UTC))
    clock(NOW + 21 * MINUTE)
    checking.check_due()
    made.refresh_from_db()
    assert Alert.objects.get(rule=made).status == "resolved" and not made.problem


def test_a_failing_channel_is_an_alert_of_its_own_told_to_the_last_resort(
    channel: Any, receiver: Any, clock: Any
) -> None:
    make_rule = importlib.import_module("dagy_console.alerts.migrations.0004_failing_channels").make_rule
    make_rule(apps, None)
    make_rule(apps, None)
    resort, failing = channel("webhook", name="Resort", is_last_resort=True), channel("webhook", name="Board")
    receiver.order(500)
    outbox.post(failing, a_message(), key="k")
    dispatch.deliver_due()
    checking.check_due()
    assert Alert.objects.get().status == "pending"
    clock(NOW + 3 * MINUTE)
    checking.check_due()
    assert (Alert.objects.get().status, Alert.objects.get().label) == ("firing", "channel:Board")
    told = Delivery.objects.get(channel=resort)
    assert told.message["title"] == "A channel fails · channel:Board" and told.message["text"] == "1 channel, above 0."
    due_now()
    dispatch.deliver_due()
    clock(NOW + 4 * MINUTE)
    checking.check_due()
    assert Alert.objects.get().status == "resolved" and Delivery.objects.filter(channel=resort).count() == 2


def test_what_does_not_last_does_not_fire(rule: Any, clock: Any) -> None:
    rule(for_seconds=120, window_seconds=60)
    traces(3, NOW - timedelta(seconds=1))
    checking.check_due()
    assert Alert.objects.get().status == "pending"
    clock(NOW + 1.5 * MINUTE)
    checking.check_due()
    assert not Alert.objects.exists() and not Delivery.objects.exists()
    for minute in range(2, 6):
        traces(3, NOW + minute * MINUTE - timedelta(seconds=1), first=minute * 10)
        clock(NOW + minute * MINUTE)
        checking.check_due()
    alert = Alert.objects.get()
    assert (alert.status, alert.fired_at - alert.since) == ("firing", timedelta(minutes=2))


def test_each_value_of_a_dimension_has_its_own_alert(rule: Any, clock: Any) -> None:
    rule(group_by=["type"], value=0.0)
    traces(40, NOW - MINUTE)
    checking.check_due()
    assert {alert.label for alert in Alert.objects.all()} == {"type:KeyError", "type:ValueError"}
    assert Alert.objects.first().dimensions.keys() == {"type"}
    assert len(events()) == 2


def test_a_query_narrows_it_and_an_organizations_rule_sees_its_own(rule: Any, clock: Any) -> None:
    Organization.objects.create(id="org_1", name="One")
    rule(query="type:KeyError", name="Keys", value=0.0)
    rule(org_id="org_1", name="Own", value=0.0, channel_ids=[])
    traces(60, NOW - MINUTE)
    checking.check_due()
    found = {alert.rule.name: alert.value for alert in Alert.objects.select_related("rule")}
    assert found == {
        "Keys": Trace.objects.filter(exception_type="KeyError").count(),
        "Own": Trace.objects.filter(org_id="org_1").count(),
    }


def test_below_and_change(rule: Any, clock: Any) -> None:
    rule(name="Quiet", op="below", value=1.0)
    rule(name="Burst", op="change", value=3.0, channel_ids=[])
    traces(1, NOW - timedelta(minutes=6))
    checking.check_due()
    assert [alert.rule.name for alert in Alert.objects.all()] == ["Quiet"]
    traces(4, NOW - MINUTE, first=10)
    clock(NOW + timedelta(seconds=10))
    checking.check_due()
    assert [alert.rule.name for alert in Alert.objects.filter(status="firing")] == ["Burst"]
    assert Alert.objects.get(status="firing").value == 4.0


def test_failed_runs_are_counted_but_not_those_of_ones_own_machine(rule: Any, clock: Any, bob: Any) -> None:
    rule(measure="run_failed", value=0.0)
    for number, trigger in enumerate(("manual", "local")):
        run = a_run("org_blue", name=f"flow-{number}")
        Run.objects.filter(pk=run.pk).update(status="FAILED", trigger=trigger, ended_at=NOW - MINUTE)
    checking.check_due()
    assert Alert.objects.get().value == 1.0


def test_it_is_told_again_while_it_fires_until_somebody_looks_after_it(
    rule: Any, clock: Any, as_actor: Any, alice: Any
) -> None:
    rule(repeat_seconds=60, window_seconds=600)
    traces(3, NOW - MINUTE)
    for second in range(0, 150, 10):
        clock(NOW + timedelta(seconds=second))
        checking.check_due()
    assert events() == ["triggered"] * 3
    alert = Alert.objects.get()
    firings.acknowledge(actor=as_actor(alice), alert_id=alert.pk)
    for second in range(150, 400, 10):
        clock(NOW + timedelta(seconds=second))
        checking.check_due()
    assert events() == [*["triggered"] * 3, "acknowledged"]
    with pytest.raises(Conflict):
        firings.acknowledge(actor=as_actor(alice), alert_id=alert.pk)
    firings.resolve(actor=as_actor(alice), alert_id=alert.pk)
    assert events()[-1] == "resolved"
    assert {"alert.acknowledged", "alert.resolved"} <= set(AuditEntry.objects.values_list("action", flat=True))


def test_a_rule_that_cannot_be_checked_says_so_keeps_its_alerts_and_stops_no_other(rule: Any, clock: Any) -> None:
    broken = rule()
    rule(name="Other", channel_ids=[], measure="run_failed")
    traces(3, NOW - MINUTE)
    checking.check_due()
    for error, said in ((ZeroDivisionError(), "ZeroDivisionError"), (Unavailable("Away."), "Away.")):

        def values(*_: Any, error: Exception = error) -> Any:
            raise error

        clock(checking.timezone.now() + 20 * MINUTE)
        with pytest.MonkeyPatch.context() as broken_measure:
            broken_measure.setattr(ExceptionCount, "values", values)
            checking.check_due()
        broken.refresh_from_db()
        assert said in broken.problem and heartbeat.check()[0] == Status.DEGRADED
        assert Alert.objects.get(rule=broken).status == "firing"
    assert Rule.objects.get(name="Other").checked_at == checking.timezone.now()
    clock(checking.timezone.now() + MINUTE)
    checking.check_due()
    broken.refresh_from_db()
    assert not broken.problem and Alert.objects.get(rule=broken).status == "resolved"


def test_of_rules_that_are_asked_together_one_that_takes_too_long_stops_no_other(
    rule: Any, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(9):
        rule(name=f"Keys {number}", query=f"type:KeyError path:/{number}*", value=0.0, channel_ids=[])
    traces(60, NOW - MINUTE)
    real = rows._ask

    def slow(compiled: Any, asked: Any) -> Any:
        if any("/4%" in str(values) for values, _ in asked):
            raise TookTooLong
        return real(compiled, asked)

    monkeypatch.setattr(rows, "_ask", slow)
    checking.check_due()
    assert [made.name for made in Rule.objects.exclude(problem="")] == ["Keys 4"]


@pytest.mark.parametrize(
    ("terms", "field"),
    [
        ({"name": " "}, "name"),
        ({"measure": "weather"}, "measure"),
        ({"query": "colour:red"}, "query"),
        ({"query": "after:-1h"}, "query"),
        ({"window_seconds": 5}, "window_seconds"),
        ({"op": "beside"}, "condition"),
        ({"op": "below", "value": 0}, "condition"),
        ({"value": -1}, "condition"),
        ({"group_by": ["colour"]}, "group_by"),
        ({"group_by": ["org", "org"]}, "group_by"),
        ({"group_by": ["org", "type", "path"]}, "group_by"),
        ({"group_by": ["org"], "op": "below"}, "group_by"),
        ({"repeat_seconds": 5}, "repeat_seconds"),
        ({"severity": "loud"}, "severity"),
        ({"escalation": [{"after_seconds": 5, "channel_ids": [str(uuid4())]}]}, "escalation"),
        ({"escalation": [{"after_seconds": 60, "channel_ids": []}]}, "escalation"),
        ({"channel_ids": ["5a0ce9f0-0000-4000-8000-000000000000"]}, "channel_ids"),
    ],
)
def test_what_is_wrong_is_said_at_its_field(rule: Any, terms: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as refused:
        rule(**terms)
    assert field in {error.field for error in refused.value.errors}
    assert not Rule.objects.exists()


def test_a_name_is_taken_however_its_words_are_spaced(rule: Any) -> None:
    rule(name="Too many", channel_ids=[])
    with pytest.raises(Invalid, match="can't be kept"):
        rule(name=" Too   many ", channel_ids=[])


def test_members_make_rules_of_what_they_may_read_and_tell_their_own_channels(
    as_actor: Any, bob: Any, channel: Any, api: Any
) -> None:
    foreign = channel("webhook", name="Platform")
    own = channels.create_channel(
        actor=as_actor(bob), org_id="org_blue", name="Blue", channel_type="email", config={"to": ["a@b.example"]}
    )
    body = {
        "name": "Failed", "measure": "run_failed", "window_seconds": 300, "condition": {"op": "above", "value": 0},
    }  # fmt: skip
    post = lambda **more: api(bob).post("/notifications/rules", body | more, content_type="application/json")  # noqa: E731
    assert post(channel_ids=[str(foreign.pk)]).status_code == 422
    assert post(measure="exception_count").status_code == 403
    made = post(channel_ids=[str(own.pk)])
    assert made.status_code == 201 and made.json()["org_id"] == "org_blue"
    assert api(bob).get("/notifications/rules").json()["items"][0]["id"] == made.json()["id"]
    url = f"/notifications/rules/{made.json()['id']}"
    changed = api(bob).patch(url, {"condition": {"op": "above", "value": 5}}, content_type="application/json")
    assert changed.json()["condition"]["value"] == 5
    assert api(bob).delete(url).status_code == 204


def test_a_change_clears_nothing_by_itself(rule: Any, clock: Any, as_actor: Any, alice: Any) -> None:
    made = rule()
    traces(3, NOW - MINUTE)
    checking.check_due()
    services.change_rule(actor=as_actor(alice), rule_id=made.pk, value=100.0)
    assert Alert.objects.get().status == "firing"
    clock(NOW + timedelta(seconds=10))
    checking.check_due()
    assert Alert.objects.get().status == "resolved" and events() == ["triggered", "resolved"]


def test_what_fires_of_a_rule_that_is_turned_off_or_deleted_is_told_to_be_over(
    rule: Any, clock: Any, as_actor: Any, alice: Any
) -> None:
    actor, made = as_actor(alice), rule()
    traces(3, NOW - MINUTE)
    checking.check_due()
    services.change_rule(actor=actor, rule_id=made.pk, enabled=False)
    assert events() == ["triggered", "resolved"]
    assert (Alert.objects.get().status, Alert.objects.get().resolved_by) == ("resolved", "alice@dagy.example")
    clock(NOW + timedelta(seconds=20))
    assert checking.check_due() == 0
    services.change_rule(actor=actor, rule_id=made.pk, enabled=True)
    checking.check_due()
    services.delete_rule(actor=actor, rule_id=made.pk)
    assert events() == ["triggered", "resolved"] * 2 and not Alert.objects.exists()


@pytest.mark.parametrize("seed", range(4))
def test_over_any_series_no_two_are_open_and_each_step_is_told_once(rule: Any, clock: Any, seed: int) -> None:
    chance = random.Random(seed)
    rule(group_by=["type"], value=1.0, window_seconds=60, for_seconds=chance.choice([0, 20]))
    for step in range(40):
        now = NOW + timedelta(seconds=10 * step)
        if chance.random() < 0.4:
            traces(chance.randrange(1, 8), now - timedelta(seconds=1), first=step * 10)
        clock(now)
        checking.check_due()
        open_alerts = Counter(Alert.objects.exclude(status="resolved").values_list("label", flat=True))
        assert all(count == 1 for count in open_alerts.values())
    for minute in (60, 80):
        # The first of them sees one that flaps to be quiet, the second that it was for long enough.
        clock(NOW + minute * MINUTE)
        checking.check_due()
    assert not Alert.objects.exclude(status="resolved").exists()
    told = Counter((row.subject, row.message["event"]) for row in Delivery.objects.all())
    assert set(told.values()) <= {1}
    fired = Alert.objects.values_list("pk", flat=True)
    expected = {(f"alert:{pk}", event) for pk in fired for event in ("triggered", "resolved")}
    assert set(told) == expected


def test_two_beats_at_once_fire_it_once(committed: None, empty_index: None, receiver: Any, as_actor: Any) -> None:
    cache.clear()
    actor = as_actor(create_person("alice@dagy.example", super_admin=True))
    made = channels.create_channel(
        actor=actor, org_id="", name="On-call", channel_type="webhook", config={"url": receiver.url}
    )
    for number in range(5):
        terms = Terms(**(USUAL | {"name": f"r{number}", "window_seconds": 3_600}), channel_ids=[made.pk])
        services.create_rule(actor=actor, org_id="", terms=terms)
    traces(3, datetime.now(NOW.tzinfo) - MINUTE)
    checked = at_the_same_moment(*(checking.check_due for _ in range(4)))
    assert sum(checked) == 5
    assert Alert.objects.filter(status="firing").count() == Delivery.objects.count() == 5
    Rule.objects.all().delete()
    channels.delete_channel(actor=actor, channel_id=made.pk)


def test_a_service_outside_hears_of_it_while_rules_are_checked_and_not_where_they_are_not(
    receiver: Any, settings: Any, db: None
) -> None:
    settings.PING_URL = f"{receiver.url}/ping/dagy"
    ping.ping()
    assert not receiver.got
    checking.check_due()
    receiver.order(500)
    ping.ping()  # what it answers keeps nothing from being checked
    ping.ping()
    assert [got.path for got in receiver.got] == ["/ping/dagy"] * 2
    CheckerState.objects.update(ended_at=timezone.now() - 2 * MINUTE)
    ping.ping()
    assert len(receiver.got) == 2


def test_a_rule_is_made_by_its_form_and_its_alert_acknowledged_without_javascript(
    browse: Any, alice: Any, channel: Any, clock: Any
) -> None:
    browser, told = browse(alice), channel("webhook")
    given = {
        "name": "Exceptions", "measure": "exception_count", "org_id": "", "query": "", "window_seconds": "300",
        "op": "above", "value": "2", "group_by": "", "for_seconds": "0", "severity": "critical", "no_data": "ok",
        "channel_ids": [str(told.pk)], "repeat_seconds": "0", "enabled": "on",
    }  # fmt: skip
    wrong = browser.post("/console/alerts/rules/new/", given | {"query": "colour:red", "group_by": "weather"})
    assert wrong.status_code == 422 and "There is no key colour" in wrong.content.decode()
    answer = browser.post("/console/alerts/rules/new/", given)
    assert answer.status_code == 302, answer.context["form"].errors
    made = Rule.objects.get()
    traces(3, NOW - MINUTE)
    checking.check_due()
    alert = Alert.objects.get()
    assert "Exceptions" in browser.get("/console/alerts/").content.decode()
    assert "Firing now" in browser.get("/console/").content.decode()
    page = browser.get(f"/console/alerts/{alert.pk}/").content.decode()
    assert "3 traces in the last 5 min, above 2" in page and "Acknowledge" in page
    assert browser.get(f"/console/alerts/{alert.pk}/acknowledge/").status_code == 405  # a scanner that follows links
    browser.post(f"/console/alerts/{alert.pk}/acknowledge/")
    page = browser.get(f"/console/alerts/{alert.pk}/").content.decode()
    assert "alice@dagy.example" in page and "Give back" in page
    browser.post(f"/console/alerts/{alert.pk}/unacknowledge/")
    assert ">Acknowledge<" in browser.get(f"/console/alerts/{alert.pk}/").content.decode()
    shown = browser.get(f"/console/alerts/rules/{made.pk}/").content.decode()
    assert "Exceptions in 5 min above 2" in shown and "3 traces" in shown
    assert browser.post(f"/console/alerts/rules/{made.pk}/", given | {"value": "9"}).status_code == 302
    made.refresh_from_db()
    assert made.value == 9.0
    assert browser.post(f"/console/alerts/rules/{made.pk}/delete/").status_code == 302
    assert not Alert.objects.exists() and Delivery.objects.exists()

"""Whoever is on call when an alert is told is told it, and what becomes of it, also after the handover."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from dagy_console.alerts import checking
from dagy_console.alerts.firings import services as firings
from dagy_console.alerts.models import Alert, Delivery, Override, Rotation, Rule
from dagy_console.alerts.rules import services as rules
from dagy_console.alerts.rules.why import why
from dagy_console.audit.models import AuditEntry
from dagy_console.core.errors import Invalid
from tests.alerts.conftest import MINUTE, NOW, traces
from tests.alerts.test_storms import hit

WEEK = timedelta(weeks=1)


def told() -> list[tuple[str, str]]:
    return list(Delivery.objects.order_by("number").values_list("channel__name", "message__event"))


def check(clock: Any, *minutes: float) -> None:
    for minute in minutes:
        clock(NOW + minute * MINUTE)
        checking.check_due()


@pytest.fixture
def night(rotation: Any, people: Any) -> Rotation:
    """Ann is on call; 90 seconds after the first check she hands over to Ben."""
    ann, ben = people("ann", "ben")
    made = rotation(ann, ben, time_zone="UTC")
    Rotation.objects.update(starts_at=NOW + 1.5 * MINUTE - WEEK)
    made.refresh_from_db()
    return made  # type: ignore[no-any-return]


def test_who_is_on_call_is_told_and_what_becomes_of_it_also_after_the_handover(
    rule: Any, channel: Any, clock: Any, night: Rotation, as_actor: Any, alice: Any
) -> None:
    rule(rotation_ids=[night.pk], window_seconds=600)
    traces(3, NOW - MINUTE)
    check(clock, 0)
    assert sorted(told()) == [("On-call", "triggered"), ("ann", "triggered")]
    facts = dict(Delivery.objects.values_list("channel__name", "message__facts"))
    assert facts["ann"]["on call"] == "Night" and "on call" not in facts["On-call"]
    check(clock, 3)
    firings.acknowledge(actor=as_actor(alice), alert_id=Alert.objects.get().pk)
    check(clock, 15)
    events = ["triggered", "acknowledged", "resolved"]
    assert [event for name, event in told() if name == "ann"] == events
    assert [event for name, event in told() if name == "On-call"] == events
    assert "ben" not in dict(told())


def test_what_is_told_again_after_the_handover_is_told_to_the_next(rule: Any, clock: Any, night: Rotation) -> None:
    rule(rotation_ids=[night.pk], channel_ids=[], window_seconds=600, repeat_seconds=120)
    traces(3, NOW - MINUTE)
    check(clock, 0, 2, 10)
    assert told()[:2] == [("ann", "triggered"), ("ben", "triggered")]
    assert sorted(told()[2:]) == [("ann", "resolved"), ("ben", "resolved")]


def test_an_override_is_told_in_place_of_whose_turn_it_is(rule: Any, clock: Any, night: Rotation, people: Any) -> None:
    (cat,) = people("cat")
    Override.objects.create(rotation=night, channel=cat, starts_at=NOW - MINUTE, until=NOW + MINUTE, created_by="x")
    rule(rotation_ids=[night.pk], channel_ids=[], window_seconds=600, repeat_seconds=60)
    traces(3, NOW - MINUTE)
    check(clock, 0, 1)
    assert told() == [("cat", "triggered"), ("ann", "triggered")]


def test_a_step_tells_whoever_is_on_call_by_then_and_nobody_twice(
    rule: Any, channel: Any, clock: Any, night: Rotation
) -> None:
    first = channel("webhook", name="first")
    step = {"after_seconds": 120, "channel_ids": [first.pk], "rotation_ids": [night.pk]}
    rule(channel_ids=[first.pk], escalation=[step], window_seconds=600)
    traces(3, NOW - MINUTE)
    check(clock, 0, 1, 2, 3)
    assert told() == [("first", "triggered"), ("ben", "triggered")]
    message = Delivery.objects.get(channel__name="ben").message
    assert "Nobody has acknowledged it for 2 min." in message["text"] and message["facts"]["on call"] == "Night"
    check(clock, 15)
    assert [event for name, event in told() if name == "ben"] == ["triggered", "resolved"]


def test_a_step_also_reaches_who_is_on_call_since_it_was_told(rule: Any, clock: Any, night: Rotation) -> None:
    """Ann was told; Ben, on call by now, was not."""
    step = {"after_seconds": 120, "channel_ids": [], "rotation_ids": [night.pk]}
    rule(rotation_ids=[night.pk], channel_ids=[], escalation=[step], window_seconds=600)
    traces(3, NOW - MINUTE)
    check(clock, 0, 1, 2, 3)
    assert told() == [("ann", "triggered"), ("ben", "triggered")]


def test_a_storm_is_told_to_whoever_is_on_call_and_that_it_is_over_too(
    rule: Any, clock: Any, night: Rotation, as_actor: Any, alice: Any
) -> None:
    rule(group_by=["org"], value=0.0, rotation_ids=[night.pk], channel_ids=[])
    hit(*range(30), minute=-1)
    check(clock, 0, 3)
    firings.acknowledge(actor=as_actor(alice), alert_id=Alert.objects.all()[0].pk)
    check(clock, 10)
    assert told() == [("ann", "triggered"), ("ann", "acknowledged"), ("ann", "resolved")]


def test_who_was_told_is_found_by_an_index(rule: Any, clock: Any, night: Rotation, as_actor: Any, alice: Any) -> None:
    made = rule(rotation_ids=[night.pk], window_seconds=600)
    traces(3, NOW - MINUTE)
    check(clock, 0)
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO alerts_delivery (id, channel_id, key, subject, message, status, attempts, sent_with, recipient)
            SELECT gen_random_uuid(), channel_id, n::text, 'alert:' || n, message, 'sent', 1, '', ''
            FROM alerts_delivery, generate_series(1, 5000) AS n
            """
        )
        cursor.execute("ANALYZE alerts_delivery")
    with CaptureQueriesContext(connection) as queries:
        firings.acknowledge(actor=as_actor(alice), alert_id=Alert.objects.get(rule=made).pk)
    asked = [one["sql"] for one in queries if '"subject" = ' in one["sql"] and one["sql"].startswith("SELECT")]
    assert len(asked) == 1
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {asked[0]}")
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert "delivery_told" in plan and "Seq Scan on alerts_delivery" not in plan, plan


def test_a_rule_keeps_its_rotations_and_they_are_on_record(
    rule: Any, rotation: Any, as_actor: Any, alice: Any, bob: Any, people: Any
) -> None:
    night = rotation()
    (own,) = people("own", org_id="org_blue")
    step = {"after_seconds": 60, "channel_ids": [], "rotation_ids": [night.pk]}
    made = rule(rotation_ids=[night.pk], escalation=[step])
    entry = AuditEntry.objects.get(action="rule.created")
    assert entry.after["rotation_ids"] == [str(night.pk)] == entry.after["escalation"][0]["rotation_ids"]
    rules.change_rule(actor=as_actor(alice), rule_id=made.pk, rotation_ids=[])
    changed = AuditEntry.objects.get(action="rule.changed")
    assert changed.after["rotation_ids"] == [] and changed.after["escalation"] == entry.after["escalation"]
    for wrong, field in (
        ({"rotation_ids": [own.pk]}, "rotation_ids"),
        ({"escalation": [step | {"rotation_ids": [own.pk]}]}, "rotation_ids"),
        ({"escalation": [step | {"rotation_ids": []}]}, "escalation"),
    ):
        with pytest.raises(Invalid) as refused:
            rules.change_rule(actor=as_actor(alice), rule_id=made.pk, **wrong)
        assert refused.value.errors[0].field == field


def test_a_step_that_was_kept_before_there_were_rotations_is_taken(
    rule: Any, channel: Any, clock: Any, night: Rotation, api: Any, alice: Any
) -> None:
    boss = channel("webhook", name="boss")
    made = rule(rotation_ids=[night.pk], channel_ids=[], window_seconds=600)
    step = {"after_seconds": 60, "channel_ids": [str(boss.pk)]}
    Rule.objects.update(escalation=[step])
    traces(3, NOW - MINUTE)
    check(clock, 0, 1)
    assert told() == [("ann", "triggered"), ("boss", "triggered")]
    answer = api(alice).get(f"/notifications/rules/{made.pk}").json()
    assert answer["escalation"] == [step | {"rotation_ids": []}]


def test_why_says_by_which_rotation_somebody_was_told(rule: Any, clock: Any, night: Rotation) -> None:
    made = rule(rotation_ids=[night.pk], channel_ids=[])
    traces(3, NOW - MINUTE)
    check(clock, 0)
    Delivery.objects.update(created_at=NOW)
    reasons = {one.about: one.said for one in why(made, NOW)}
    assert reasons["ann"].startswith("Told that it is triggered, on call of Night") and "message" not in reasons

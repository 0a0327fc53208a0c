"""What fired and was over while nobody checked is found afterwards, and told once."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from dagy_console.accounts.models import User
from dagy_console.alerts import catching_up, checking, dispatch
from dagy_console.alerts.models import Alert, CheckerState, Delivery, Rule
from dagy_console.alerts.silences import services as silences
from dagy_console.listing.language import Term
from tests.alerts.conftest import MINUTE, events, look, traces
from tests.traces import NOW

BACK = NOW + 14 * MINUTE
Outage = Callable[[], None]


@pytest.fixture
def outage(clock: Callable[[datetime], None]) -> Outage:
    """Rules were checked at NOW, and then not before BACK."""

    def begin_and_end() -> None:
        Rule.objects.update(created_at=NOW - MINUTE)
        for moment in (NOW, BACK):
            clock(moment)
            checking.check_due()

    return begin_and_end


def test_what_was_over_before_anybody_looked_is_found_and_told(rule: Any, outage: Outage) -> None:
    made = rule(severity="critical")
    traces(3, NOW + 3 * MINUTE)
    outage()
    assert not Alert.objects.exists()
    assert catching_up.catch_up() == 1
    alert = Alert.objects.get()
    assert (alert.status, alert.is_missed, alert.peak) == ("resolved", True, 3)
    assert alert.resolved_at - alert.fired_at == timedelta(seconds=made.window_seconds)
    assert timedelta() <= alert.fired_at - (NOW + 3 * MINUTE) <= timedelta(seconds=10)
    told = Delivery.objects.get().message
    assert (told["event"], told["severity"]) == ("missed", "critical")
    assert told["title"] == "Missed: nobody checked rules for 14 min"
    assert "1 alert would have fired meanwhile, and is over." in told["text"]
    assert "Exceptions: 3 traces in the last 5 min" in told["text"] and "for 5 min" in told["text"]


def test_it_is_found_and_told_once_however_often_it_is_looked_for(rule: Any, outage: Outage) -> None:
    rule()
    traces(3, NOW + 3 * MINUTE)
    outage()
    CheckerState.objects.update(away_until=BACK, missed_from=NOW)
    assert [catching_up.catch_up(), catching_up.catch_up()] == [1, 0]
    # A worker that died before it could say that it was done.
    CheckerState.objects.update(missed_from=NOW)
    assert catching_up.catch_up() == 0
    assert (Alert.objects.count(), Delivery.objects.count()) == (1, 1)


def test_however_much_was_missed_each_channel_gets_one_message(rule: Any, channel: Any, outage: Outage) -> None:
    first, second = channel("webhook"), channel("slack", name="Second")
    for number in range(12):
        rule(name=f"Rule {number}", channel_ids=[first.pk, second.pk] if number else [first.pk])
    traces(3, NOW + 3 * MINUTE)
    outage()
    assert catching_up.catch_up() == 12
    texts = {row.channel_id: row.message["text"] for row in Delivery.objects.all()}
    assert texts[first.pk].startswith("12 alerts would have fired") and texts[first.pk].endswith("and 2 more")
    assert texts[second.pk].startswith("11 alerts would have fired")
    assert Delivery.objects.count() == 2


def test_what_still_holds_fires_as_ever_and_was_not_missed(rule: Any, outage: Outage) -> None:
    rule()
    traces(3, BACK - MINUTE)
    outage()
    assert catching_up.catch_up() == 0
    assert events() == ["triggered"] and not Alert.objects.get().is_missed


def test_what_fired_before_is_resolved_and_not_told_as_another(rule: Any, outage: Outage) -> None:
    rule()
    traces(3, NOW - MINUTE)
    outage()
    assert catching_up.catch_up() == 0
    assert events() == ["triggered", "resolved"]


def test_what_was_silenced_then_is_on_record_and_not_told(
    rule: Any, outage: Outage, as_actor: Any, alice: User
) -> None:
    rule()
    traces(3, NOW + 3 * MINUTE)
    silence = silences.create_silence(
        actor=as_actor(alice), org_id="", matchers=[Term("rule", "*")], until=timezone.now() + MINUTE, reason="x"
    )
    type(silence).objects.update(starts_at=NOW - MINUTE, until=BACK)
    outage()
    assert catching_up.catch_up() == 1
    assert Alert.objects.get().silence == silence and not Delivery.objects.exists()


def test_it_waits_for_an_index_that_is_behind(rule: Any, outage: Outage) -> None:
    rule()
    outage()
    now = timezone.now()
    CheckerState.objects.update(missed_from=now - 14 * MINUTE, away_until=now)
    Rule.objects.update(created_at=now - 15 * MINUTE)
    look(now - 10 * MINUTE)
    assert catching_up.catch_up() == 0 and CheckerState.objects.get().missed_from
    look(now)
    assert catching_up.catch_up() == 0 and CheckerState.objects.get().missed_from is None


def test_two_outages_are_looked_through_as_one(rule: Any, outage: Outage, clock: Any) -> None:
    rule()
    traces(3, NOW + 3 * MINUTE)
    outage()
    clock(BACK + 5 * MINUTE)
    checking.check_due()
    assert catching_up.catch_up() == 1
    assert Delivery.objects.get().message["facts"]["from"].endswith(f"{NOW:%H:%M:%S} UTC")


def test_a_short_pause_is_no_outage(rule: Any, clock: Any) -> None:
    rule()
    for second in (0, 50):
        clock(NOW + timedelta(seconds=second))
        checking.check_due()
    assert CheckerState.objects.get().missed_from is None


@pytest.mark.parametrize("kind", ["slack", "webhook", "pagerduty", "email"])
def test_every_kind_of_channel_tells_it(
    kind: str, rule: Any, channel: Any, outage: Outage, receiver: Any, smtp: Any
) -> None:
    rule(channel_ids=[channel(kind).pk])
    traces(3, NOW + 3 * MINUTE)
    outage()
    catching_up.catch_up()
    dispatch.deliver_due()
    assert Delivery.objects.get().status == "sent"
    if kind == "pagerduty":
        assert [got.json["event_action"] for got in receiver.got] == ["trigger", "resolve"]

"""Many alerts of one rule at once are one message that says how many, until the last of them is over."""

from typing import Any

from dagy_console.alerts import checking
from dagy_console.alerts.firings import selectors
from dagy_console.alerts.firings import services as firings
from dagy_console.alerts.models import Alert, Delivery, Storm
from dagy_console.exceptions.index.indexing import put_traces
from dagy_console.listing.language import Term
from tests.alerts.conftest import MINUTE, NOW, events
from tests.alerts.test_silences import silence
from tests.traces import a_trace


class Chance:
    """Each trace of an organization of its own."""

    def __init__(self, number: int) -> None:
        self.number = number

    def choice(self, values: list[str]) -> str:
        return f"org_{self.number}" if values[0] == "org_1" else values[0]


def hit(*organizations: int, minute: float) -> None:
    put_traces(
        [a_trace(int(minute * 1_000) + one, NOW + minute * MINUTE, Chance(one)) for one in organizations]  # type: ignore[arg-type]
    )


def check(clock: Any, minute: float) -> None:
    clock(NOW + minute * MINUTE)
    checking.check_due()


def test_a_storm_counts_only_what_nobody_has_silenced(rule: Any, clock: Any, as_actor: Any, alice: Any) -> None:
    rule(group_by=["org"], value=0.0, window_seconds=1_800, repeat_seconds=300)
    some = silence(Term("org", "org_1*"), minutes=12)
    hit(*range(20), minute=-1)
    check(clock, 0)
    # org_1 and org_10 to org_19 are silenced.
    assert Delivery.objects.get().message["text"].startswith("9 alerts fire")
    rest = silence(Term("org", "*"), since=NOW + MINUTE, minutes=9)
    for minute in (2, 6, 9):
        check(clock, minute)
    assert events() == ["triggered"], "it is not told again while all of it is silenced"
    acknowledged = Alert.objects.filter(is_silenced=True, storm__isnull=False).first()
    firings.acknowledge(actor=as_actor(alice), alert_id=acknowledged.pk)
    firings.unacknowledge(actor=as_actor(alice), alert_id=acknowledged.pk)
    assert events() == ["triggered", "acknowledged"]
    check(clock, 11)
    check(clock, 13)
    told = [row.message["text"].split(" ")[0] for row in Delivery.objects.order_by("number")]
    assert (events()[2:], told[2:]) == (["triggered"] * 2, ["9", "20"])
    assert rest.until < some.until


def test_up_to_five_are_told_one_by_one(rule: Any, clock: Any) -> None:
    rule(group_by=["org"], value=0.0)
    hit(*range(5), minute=-1)
    check(clock, 0)
    assert events() == ["triggered"] * 5 and not Storm.objects.exists()


def test_a_storm_is_one_message_that_says_how_many_and_one_that_it_is_over(rule: Any, clock: Any) -> None:
    rule(group_by=["org"], value=0.0)
    hit(*range(30), minute=-1)
    check(clock, 0)
    assert Alert.objects.filter(status="firing").count() == 30 and events() == ["triggered"]
    message = Delivery.objects.get().message
    assert message["title"] == "Exceptions · many at once" and message["subject"].startswith("storm:")
    assert message["text"].startswith("30 alerts fire, above 0.\norg:org_0: 1 trace\n")
    assert message["text"].endswith("and 20 more") and message["act_link"]
    check(clock, 1)
    assert events() == ["triggered"]
    hit(*range(3), minute=3)
    check(clock, 5)
    assert Alert.objects.filter(status="firing").count() == 3 and events() == ["triggered"]
    check(clock, 9)
    assert events() == ["triggered", "resolved"] and Storm.objects.get().closed_at
    assert Delivery.objects.values("subject").distinct().count() == 1
    assert selectors.deliveries_of(Alert.objects.all()[0]).count() == 2


def test_it_is_told_again_where_it_is_twice_as_large(rule: Any, clock: Any) -> None:
    rule(group_by=["org"], value=0.0)
    hit(*range(8), minute=-1)
    check(clock, 0)
    hit(*range(8, 12), minute=0.4)
    check(clock, 0.5)
    assert events() == ["triggered"]
    hit(*range(12, 20), minute=0.9)
    check(clock, 1)
    assert events() == ["triggered"] * 2
    assert Delivery.objects.order_by("-number")[0].message["facts"]["alerts"] == "20"


def test_what_trickles_in_becomes_one_too(rule: Any, clock: Any) -> None:
    rule(group_by=["org"], value=0.0)
    for number in range(9):
        hit(number, minute=number / 2 - 0.1)
        check(clock, number / 2)
    subjects = list(Delivery.objects.order_by("number").values_list("subject", flat=True))
    assert [subject.partition(":")[0] for subject in subjects[:6]] == ["alert"] * 5 + ["storm"]


def test_acknowledging_one_looks_after_all_and_stops_repeats_and_steps(
    rule: Any, channel: Any, clock: Any, as_actor: Any, alice: Any
) -> None:
    boss = channel("webhook", name="Boss")
    steps = [{"after_seconds": 120, "channel_ids": [boss.pk]}]
    rule(group_by=["org"], value=0.0, window_seconds=600, repeat_seconds=60, escalation=steps)
    hit(*range(10), minute=-1)
    for minute in (0, 1, 2, 3):
        check(clock, minute)
    told = list(Delivery.objects.order_by("number").values_list("channel__name", "message__event"))
    assert told == [("On-call", "triggered")] * 2 + [("Boss", "triggered")] + [
        ("On-call", "triggered"),
        ("Boss", "triggered"),
    ]
    assert "Nobody has acknowledged it for 2 min." in Delivery.objects.filter(channel=boss)[0].message["text"]
    firings.acknowledge(actor=as_actor(alice), alert_id=Alert.objects.all()[0].pk)
    assert set(Alert.objects.values_list("acknowledged_by", flat=True)) == {"alice@dagy.example"}
    for minute in (4, 5, 6):
        check(clock, minute)
    assert events()[5:] == ["acknowledged"] * 2
    assert "alice@dagy.example looks after all 10." in Delivery.objects.order_by("-number")[0].message["text"]
    firings.unacknowledge(actor=as_actor(alice), alert_id=Alert.objects.all()[1].pk)
    assert set(Alert.objects.values_list("acknowledged_by", flat=True)) == {""}
    assert events()[7:] == ["triggered"] * 2


def test_resolving_the_last_by_hand_ends_it(rule: Any, clock: Any, as_actor: Any, alice: Any) -> None:
    rule(group_by=["org"], value=0.0)
    hit(*range(7), minute=-1)
    check(clock, 0)
    for alert in Alert.objects.all():
        firings.resolve(actor=as_actor(alice), alert_id=alert.pk)
    assert events() == ["triggered", "resolved"]

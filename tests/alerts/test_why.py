"""A rule answers why it did or did not tell at any moment."""

from typing import Any

from django.utils import timezone

from dagy_console.alerts import checking, dispatch
from dagy_console.alerts.firings import services as firings
from dagy_console.alerts.models import Alert, Delivery, Rule, Silence
from dagy_console.alerts.rules import services as rules
from dagy_console.alerts.rules.why import why
from tests.alerts.conftest import MINUTE, NOW, traces


def told(rule: Rule, minutes: float) -> dict[str, str]:
    return {one.about: one.said for one in why(rule, NOW + minutes * MINUTE)}


def test_below_its_limit_it_says_what_it_was(rule: Any, clock: Any) -> None:
    made = rule()
    Rule.objects.update(created_at=NOW - 60 * MINUTE)
    made.refresh_from_db()
    traces(2, NOW - MINUTE)
    reasons = told(made, 0)
    assert reasons["value"] == "2 traces: not above 2." and reasons["alert"] == "None was pending or fired then."
    assert reasons["message"] == "Nothing was told in the 5 min before it, nor in the minute after."
    assert "It was made later" in told(made, -90)["rule"]


def test_what_was_pending_silenced_acknowledged_and_told_is_said(
    rule: Any, clock: Any, receiver: Any, as_actor: Any, alice: Any
) -> None:
    made = rule(for_seconds=120, window_seconds=600, group_by=["type"], value=0.0, repeat_seconds=3_600)
    traces(40, NOW - MINUTE)
    for minute in (0, 1, 3):
        clock(NOW + minute * MINUTE)
        checking.check_due()
    receiver.order(500, times=9)
    dispatch.deliver_due()
    Delivery.objects.update(created_at=NOW + 3 * MINUTE)
    assert "Pending since" in told(made, 1)["type:KeyError"]
    fires = told(made, 4)
    assert fires["type:KeyError"].startswith("It fired since") and "told again every 1 h" in fires["type:KeyError"]
    assert "it waits to be tried again after 1 try, last answer 500" in told(made, 3.5)["On-call"]
    Silence.objects.create(
        matchers=[{"key": "type", "value": "ValueError"}], text="x", reason="deploy", created_by="ann@dagy.example",
        starts_at=NOW + 4 * MINUTE, until=NOW + 9 * MINUTE,
    )  # fmt: skip
    assert "ann@dagy.example had silenced it" in told(made, 5)["type:ValueError"]
    assert "silenced" not in told(made, 5)["type:KeyError"]
    firings.acknowledge(actor=as_actor(alice), alert_id=Alert.objects.get(label="type:KeyError").pk)
    # People act by the real clock, checks by the simulated one.
    late = why(made, max(NOW + 5 * MINUTE, timezone.now() + MINUTE))
    assert any("alice@dagy.example had acknowledged it" in one.said for one in late)


def test_a_rule_that_was_changed_since_is_told_of_by_the_terms_that_it_had(
    rule: Any, as_actor: Any, alice: Any
) -> None:
    made = rule(value=3.0)
    before = timezone.now()
    rules.change_rule(actor=as_actor(alice), rule_id=made.pk, value=50.0)
    between = timezone.now()
    rules.change_rule(actor=as_actor(alice), rule_id=made.pk, value=70.0, enabled=False)
    made.refresh_from_db()

    def said(at: Any) -> str:
        return " ".join(one.said for one in why(made, at))

    assert "not above 3." in said(before) and "terms that it had then" in said(before) and "was off" not in said(before)
    assert "not above 50." in said(between)
    assert "not above 70." in said(timezone.now()) and "It was off" in said(timezone.now())


def test_by_page_and_api(rule: Any, api: Any, alice: Any, browse: Any) -> None:
    made = rule(channel_ids=[], hours={"days": ["mon"], "from": "03:00", "to": "03:01", "time_zone": "UTC"})
    url = f"/notifications/rules/{made.pk}/why"
    answer = api(alice).get(url, {"at": "2026-11-24T12:00:00Z"}).json()
    said = [one["said"] for one in answer["reasons"]]
    assert answer["at"] == "2026-11-24T12:00:00.000000Z" and any("outside of its hours" in one for one in said)
    assert "The rule has no channel: what fires is shown here alone." in said
    assert api(alice).get(url, {"at": "noon"}).status_code == 422
    page = browse(alice).get(f"/console/alerts/rules/{made.pk}/why/?at=-1h")
    assert page.status_code == 200 and "0 traces: not above 2." in page.content.decode()
    wrong = browse(alice).get(f"/console/alerts/rules/{made.pk}/why/?at=noon")
    assert wrong.status_code == 422 and "is no time" in wrong.content.decode()

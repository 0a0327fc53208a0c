"""A search becomes a rule in the browser, and says when it would have fired; its alert is acknowledged on a phone."""

import re
from datetime import UTC, datetime, timedelta

from playwright.sync_api import expect

from tests.browser.conftest import OpenAs
from tests.browser.stack import PEOPLE, Stack, wait_until
from tests.console import PASSWORD
from tests.runs.support import Caller


def test_a_rule_of_a_search_says_when_it_would_have_fired_while_it_is_changed(open_as: OpenAs, stack: Stack) -> None:
    alice = open_as("alice")
    earlier = datetime.now(UTC) - timedelta(hours=1)
    stack.put_many([{"org": "org_watched", "at": earlier, "exception_message": f"at {one}"} for one in range(4)])
    stack.wait_until_indexed("org_watched", 4)
    alice.goto("/console/exceptions/?q=org%3Aorg_watched+after%3A-1d")
    alice.get_by_role("link", name="Make a rule").click()
    expect(alice.get_by_label("Of those that match")).to_have_value("org:org_watched")
    limit, preview = alice.get_by_label("Than"), alice.locator("#preview")
    expect(preview).to_contain_text("Write a limit, and see when it would have fired.")
    limit.fill("2")
    limit.press("Tab")
    expect(preview).to_contain_text("Would have fired 1 time in the last 7 days.")
    limit.fill("9")
    limit.press("Tab")
    expect(preview).to_contain_text("Would not have fired in the last 7 days: the most was 4 traces.")
    alice.get_by_label("Name").fill("Watched")
    alice.get_by_role("button", name="Make the rule").click()
    expect(alice).to_have_url(re.compile("/console/alerts/rules/[0-9a-f-]{36}/$"))
    expect(alice.get_by_text("Exceptions of org:org_watched in 5 min above 9")).to_be_visible()


def test_an_alert_is_acknowledged_from_its_message_by_thumb_without_signing_in(open_as: OpenAs, stack: Stack) -> None:
    alice = Caller(stack.url, PEOPLE["alice"], PASSWORD)
    config = {"to": ["oncall@dagy.example"]}
    channel = alice.call("/notifications/channels", {"name": "Phone", "channel_type": "email", "config": config})
    rule = {"name": "At night", "measure": "exception_count", "query": "org:org_night", "window_seconds": 60}
    told = {"condition": {"op": "above", "value": 0}, "severity": "critical", "channel_ids": [channel["id"]]}
    alice.call("/notifications/rules", rule | told)
    stack.bucket.put("org_night")
    query = "SELECT message->>'act_link' FROM alerts_delivery WHERE message->>'title' = 'At night'"
    wait_until(lambda: bool(stack.rows(query)), seconds=30, what="the message")
    phone = open_as(None, viewport={"width": 390, "height": 844})
    phone.goto(stack.rows(query)[0][0])
    expect(phone.get_by_text("1 trace in the last 1 min")).to_be_visible()
    assert phone.evaluate("document.documentElement.scrollWidth") <= 390
    button = phone.get_by_role("button", name="Acknowledge")
    assert (button.bounding_box() or {"height": 0})["height"] >= 44
    button.click()
    expect(phone.get_by_text("It is acknowledged: it is told no more until it clears.")).to_be_visible()
    expect(button).to_have_count(0)
    entry = "SELECT actor_email FROM audit_entry WHERE action = 'alert.acknowledged' AND resource_name = 'At night'"
    assert stack.rows(entry) == [("a link in Phone",)]

"""A search becomes a rule in the browser, and says while it is changed when it would have fired."""

import re
from datetime import UTC, datetime, timedelta

from playwright.sync_api import expect

from tests.browser.conftest import OpenAs
from tests.browser.stack import Stack


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

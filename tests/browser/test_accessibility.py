"""axe finds nothing on any page, in light and dark, wide and on a phone."""

from collections.abc import Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import OpenAs, allow, opening
from tests.browser.corpus import RICH
from tests.browser.stack import Stack
from tests.timing import LONG

SIZES = ((1440, 900), (390, 844))
PAGES = {
    "sign-in": "/accounts/login/",
    "home": "/console/",
    "list": "/console/exceptions/?q=org%3Aorg_blue+-type%3AKeyError",
    "bad query": "/console/exceptions/?q=colour%3Ared",
    "nothing found": "/console/exceptions/?q=type%3ANowhere",
    "deletions": "/console/exceptions/deletions/",
    "groups": "/console/exceptions/groups/",
    "audit": "/console/audit/",
    "API keys": "/console/account/api-keys/",
    "new API key": "/console/account/api-keys/new/",
    "system": "/console/system/",
    "who may do what": "/console/system/access/",
    "customers": "/console/customers/",
    "customer": "/console/customers/org_blue/",
    "suspend": "/console/customers/org_blue/suspend/",
    "sessions": "/console/sessions/",
    "end sessions": "/console/sessions/revoke/?email=bob%40blue.example",
    "own sessions": "/console/account/sessions/",
    "impersonations": "/console/impersonations/",
    "impersonate": "/console/impersonations/new/",
    "channels": "/console/alerts/channels/",
    "new channel": "/console/alerts/channels/new/",
    "deliveries": "/console/alerts/deliveries/",
    "alerts": "/console/alerts/",
    "on call": "/console/alerts/on-call/",
    "new rotation": "/console/alerts/on-call/new/",
    "rules": "/console/alerts/rules/",
    "new rule": "/console/alerts/rules/new/",
    "schedules": "/console/runs/schedules/",
    "new schedule": "/console/runs/schedules/new/",
    "secrets": "/console/runs/secrets/",
    "cancel runs": "/console/runs/all/cancel/?q=status%3ARUNNING",
    "team": "/console/team/",
    "invite": "/console/team/org_blue/invite/",
}


# What a theme can change: the rules about colours. The others read the same page.
COLOURS = {"runOnly": ["color-contrast", "link-in-text-block"]}
THEMES: dict[str, dict[str, Any]] = {"light": {}, "dark": {} if LONG else COLOURS}


def violations(page: Page) -> dict[str, str]:
    """What axe finds in each theme and size: name of the combination -> report."""
    found = {}
    axe = Axe()
    for theme, options in THEMES.items():
        page.emulate_media(color_scheme=theme, reduced_motion="reduce")
        for width, height in SIZES:
            page.set_viewport_size({"width": width, "height": height})
            # What is sound is not described: on a long table that takes longer than all the rules.
            result = axe.run(page, options=options | {"reporter": "no-passes"})
            if result.violations_count:
                found[f"{theme} {width}"] = result.generate_report()
    return found


@pytest.fixture(scope="module")
def window(chromium: Browser, stack: Stack, sessions: Any) -> Iterator[Page]:
    """One page in which the others are opened one after the other: axe is compiled once."""
    with opening(chromium, stack, sessions) as open_page:
        page = open_page("alice")
        allow(page, "status of 422")
        yield page


# Thousands of elements, each of which axe looks at.
LONG_PAGES = {"who may do what", "list"}


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow("a long page") if name in LONG_PAGES else ()) for name in PAGES],
)
def test_a_page_has_no_barriers(open_as: OpenAs, window: Page, name: str) -> None:
    page = open_as() if name == "sign-in" else window
    page.goto(PAGES[name])
    assert violations(page) == {}


@pytest.mark.slow("a page with hundreds of unfolded lines")
def test_a_trace_and_its_unfolded_frames_have_no_barriers(page: Page) -> None:
    page.goto(f"/console/exceptions/?q=request%3A{RICH}")
    page.locator("#results [data-open]").click()
    page.get_by_role("button", name="Show all frames").click()
    page.get_by_role("button", name="Expand all").click()
    assert violations(page) == {}


@pytest.mark.slow("three states of its pages are checked for barriers")
def test_a_deletion_has_no_barriers_from_the_question_to_its_end(page: Page, stack: Stack) -> None:
    stack.bucket.put("org_axe")
    stack.wait_until_indexed("org_axe", 1)
    page.goto("/console/exceptions/?q=org%3Aorg_axe")
    page.locator("#results input[name=key]").check()
    page.get_by_role("button", name="Delete 1…").click()
    expect(page.get_by_role("heading", name="Delete 1 trace?")).to_be_visible()
    assert violations(page) == {}
    page.get_by_label("To go on, type the number").fill("1")
    page.get_by_role("button", name="Delete 1 trace").click()
    expect(page.get_by_text("1 of 1 deleted", exact=True)).to_be_visible()
    assert violations(page) == {}


@pytest.mark.slow("six states of its pages are checked for barriers")
def test_a_channel_and_its_test_message_have_no_barriers(page: Page) -> None:
    page.goto("/console/alerts/channels/new/")
    page.get_by_label("Name").fill("Night shift")
    page.get_by_label("Type").select_option("webhook")
    page.get_by_label("Webhook: URL").fill("https://hooks.nowhere.invalid/alerts")
    page.get_by_role("button", name="Make the channel").click()
    expect(page.get_by_text("Copy it now: it is shown this once.")).to_be_visible()
    assert violations(page) == {}
    page.get_by_role("link", name="I have it").click()
    page.get_by_role("button", name="Send a test").click()
    expect(page.get_by_text("Test of the channel Night shift")).to_be_visible()
    page.wait_for_timeout(1_500)
    page.reload()
    expect(page.get_by_text("There is no host hooks.nowhere.invalid.").first).to_be_visible()
    assert violations(page) == {}
    for path in ("/console/alerts/channels/", "/console/alerts/deliveries/"):
        page.goto(path)
        assert violations(page) == {}, path


@pytest.mark.slow("three long pages")
def test_a_group_what_is_behind_it_and_two_traces_have_no_barriers(page: Page, stack: Stack) -> None:
    ((fingerprint,),) = stack.rows("SELECT fingerprint FROM trace_group ORDER BY count DESC LIMIT 1")
    first, second = (key for (key,) in stack.rows("SELECT key FROM trace ORDER BY key LIMIT 2"))
    group = f"/console/exceptions/groups/{fingerprint}/"
    for path in (group, f"{group}analysis/", f"/console/exceptions/compare/?a={first}&b={second}"):
        page.goto(path)
        expect(page.get_by_role("heading", level=1).or_(page.get_by_role("heading", level=2)).first).to_be_visible()
        page.wait_for_load_state("networkidle")
        assert violations(page) == {}, path

"""What is open stays true: new rows announce themselves, titles follow, times are in one zone."""

import re
import uuid
from urllib.parse import parse_qs, urlsplit

from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenAs
from tests.browser.stack import Stack, wait_until


def ask(page: Page, element: str) -> None:
    """What it does by itself every some seconds."""
    page.locator(element).dispatch_event("every")


def test_new_traces_announce_themselves_and_one_click_shows_them_where_one_reads(page: Page, stack: Stack) -> None:
    org = f"org_live_{uuid.uuid4().hex[:8]}"
    stack.bucket.put(org, exception_message="the first")
    stack.wait_until_indexed(org, 1)
    page.goto(f"/console/exceptions/?q=org:{org}")
    box = page.get_by_role("combobox", name="Search the traces")
    box.fill(f"org:{org} half-typed")
    for message in ("the second", "the third"):
        stack.bucket.put(org, exception_message=message)
    stack.wait_until_indexed(org, 3)
    expect(page.locator("#results [data-row]")).to_have_count(1)
    ask(page, "#news")
    news = page.get_by_role("link", name="2 new: show")
    expect(news).to_be_visible()
    expect(box).to_have_value(f"org:{org} half-typed")
    address = page.url
    news.click()
    expect(page.locator("#results [data-row]")).to_have_count(3)
    expect(news).to_have_count(0)
    assert parse_qs(urlsplit(page.url).query) == parse_qs(urlsplit(address).query)


def test_the_state_of_the_index_and_home_follow_while_they_are_open(page: Page) -> None:
    page.goto("/console/exceptions/")
    looked = page.locator("#status time")
    before = looked.get_attribute("datetime")

    def follows() -> bool:
        ask(page, "#news")
        page.wait_for_timeout(500)
        return looked.get_attribute("datetime") != before

    wait_until(follows, seconds=30, what="the index was looked at again")
    page.goto("/console/")
    as_of = page.locator(".head .status time")
    before = as_of.get_attribute("datetime")
    page.wait_for_timeout(1_100)
    ask(page, "#live")
    expect(as_of).not_to_have_attribute("datetime", str(before))
    expect(page.get_by_role("heading", name="Worst in the last hour")).to_be_visible()


def test_the_title_follows_each_step_and_escape_leaves_the_search_as_the_list_is(page: Page) -> None:
    page.goto("/console/exceptions/")
    box = page.get_by_role("combobox", name="Search the traces")
    box.fill("org:org_red")
    box.press("Enter")
    expect(page).to_have_title(re.compile("^org:org_red · Exceptions"))
    box.fill("org:org_red and more")
    box.press("Escape")
    expect(box).to_have_value("org:org_red")
    expect(box).not_to_be_focused()


def test_whoever_reads_local_time_reads_it_everywhere_and_writes_it_too(open_as: OpenAs, stack: Stack) -> None:
    page = open_as("alice", timezone_id="Asia/Kolkata")
    page.context.add_cookies([{"name": "dagy-time", "value": "local", "url": stack.url}])
    page.goto("/console/exceptions/")
    captions = page.locator(".histogram figcaption time")
    for number in range(3):
        expect(captions.nth(number)).to_contain_text("GMT+5:30")
    assert "UTC" not in page.locator(".histogram svg title").first.text_content()
    box = page.get_by_role("combobox", name="Search the traces")
    box.fill("after:2026-01-15T03:00 before:2999-01-01")
    box.press("Enter")
    expect(page).to_have_url(re.compile("q="))
    (query,) = parse_qs(urlsplit(page.url).query)["q"]
    assert query == "after:2026-01-15T03:00+05:30 before:2999-01-01T00:00+05:30"


def test_the_section_that_was_asked_for_is_the_one_that_is_marked(page: Page) -> None:
    page.goto("/console/exceptions/?q=request:req-rich")
    page.locator("#results [data-open]").click()
    tabs = page.get_by_role("navigation", name="On this page")
    for name in ("Raw", "Metadata", "Request", "JSON"):
        tabs.get_by_role("link", name=name, exact=True).click()
        expect(tabs.locator("[aria-current]")).to_have_text(name)


def test_repeats_are_folded_and_unfold_where_one_reads(page: Page, stack: Stack) -> None:
    org = f"org_many_{uuid.uuid4().hex[:8]}"
    stack.put_many([{"org": org, "exception_message": f"row {number}"} for number in range(6)])
    stack.wait_until_indexed(org, 6)
    page.goto(f"/console/exceptions/?q=org:{org}")
    rows = page.locator("#results [data-row]:visible")
    expect(rows).to_have_count(1)
    page.keyboard.press("j")
    page.keyboard.press("j")
    expect(rows.first.locator("[data-open]")).to_be_focused()
    page.get_by_role("button", name="5 more of this group").click()
    expect(rows).to_have_count(6)
    expect(rows.nth(1).locator("[data-open]")).to_be_focused()


def test_whoever_keeps_the_traces_finds_them_ticked_as_they_were(page: Page) -> None:
    page.goto("/console/exceptions/?q=invoice")
    for number in (0, 2):
        page.locator("#selection input[name=key]:visible").nth(number).check()
    page.get_by_role("button", name="Delete 2…").click()
    expect(page.get_by_role("heading", name="Delete 2 traces?")).to_be_visible()
    page.reload()
    expect(page.get_by_role("heading", name="Delete 2 traces?")).to_be_visible()
    page.get_by_role("link", name=re.compile("Keep")).click()
    expect(page).to_have_url(re.compile("q=invoice"))
    expect(page.locator("#selection input[name=key]:checked")).to_have_count(2)


def test_a_group_is_found_read_and_resolved(page: Page) -> None:
    page.goto("/console/exceptions/")
    page.get_by_role("link", name="Groups", exact=True).click()
    page.get_by_role("navigation", name="Order").get_by_role("link", name="Count").click()
    expect(page).to_have_url(re.compile("sort%3Acount"))
    page.locator("#results [data-open]").first.click()
    expect(page.locator(".pulse")).to_contain_text(re.compile("goes on|stopped"))
    expect(page.get_by_role("heading", name="What they share")).to_be_visible()
    expect(page.locator("#analysis")).to_contain_text(re.compile("Of the others|Nothing: |no other traces"))
    page.get_by_label("Note for whoever looks next").fill("see the runbook")
    page.get_by_role("button", name="Resolve").click()
    expect(page.get_by_text("The group is resolved.")).to_be_visible()
    expect(page.locator(".head .badge")).to_have_text("resolved")
    page.get_by_role("link", name="Its record").click()
    expect(page.locator("#results [data-row]").first).to_contain_text("Set the status of a group of traces")

"""One trace: read, searched, copied, downloaded, and left for its neighbours."""

import json
import re
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Page, expect

from tests.browser.corpus import RICH
from tests.browser.stack import Stack, body_of, trace_json


def key_of(page: Page) -> str:
    return parse_qs(urlsplit(page.url).query)["key"][0]


def arrived(page: Page, key: str) -> None:
    """Wait for the trace `key`, and for the scripts of its page."""
    expect(page).to_have_url(re.compile(re.escape(key.replace("/", "%2F"))))
    page.wait_for_load_state()


@pytest.fixture
def rich(page: Page) -> Page:
    """The rich trace, opened from the list."""
    page.goto(f"/console/exceptions/?q=request%3A{RICH}")
    page.locator("#results [data-open]").click()
    expect(page.get_by_role("heading", name="LedgerError", level=1)).to_be_visible()
    return page


def test_the_traceback_has_a_section_for_each_exception_and_folds_library_frames(rich: Page) -> None:
    sections = rich.locator("#traceback article")
    expect(sections).to_have_count(2)
    expect(sections.nth(0)).to_contain_text("LedgerError")
    expect(sections.nth(1)).to_contain_text("KeyError")
    expect(rich.locator("#traceback .relation")).to_contain_text("direct cause")
    expect(sections.nth(0).get_by_text("total = balance(", exact=False)).to_be_visible()
    library = sections.nth(0).locator("details")
    hidden = sections.nth(0).get_by_text("get_response(request)").first
    expect(hidden).to_be_hidden()
    library.locator("summary").click()
    expect(hidden).to_be_visible()
    library.locator("summary").click()
    expect(hidden).to_be_hidden()
    rich.get_by_role("button", name="Show all frames").click()
    expect(hidden).to_be_visible()
    rich.get_by_role("button", name="Fold library frames").click()
    expect(hidden).to_be_hidden()


def test_the_json_tree_is_searched_by_key_value_and_path(rich: Page) -> None:
    search = rich.get_by_role("searchbox", name="Search the JSON")
    search.fill("gold")
    expect(rich.locator("[data-tree-count]")).to_have_text("1 match")
    expect(rich.locator("#json li.hit")).to_contain_text("tier")
    expect(rich.locator("#json li.hit")).to_be_visible()
    words = "({ startContainer, startOffset, endOffset }) => startContainer.data.slice(startOffset, endOffset)"
    assert rich.evaluate(f"() => [...CSS.highlights.get('found')].map({words})") == ["gold"]
    expect(rich.locator('#json li[data-path="$.function_name"]')).to_be_hidden()
    search.fill("$.event.body.lines")
    expect(rich.locator('#json li.hit[data-path="$.event.body.lines"]')).to_be_visible()
    search.fill("")
    expect(rich.locator('#json li[data-path="$.function_name"]')).to_be_visible()


def test_key_uri_curl_and_json_paths_are_copied(rich: Page, stack: Stack) -> None:
    def clipboard_begins(start: str) -> None:
        rich.wait_for_function(
            "start => navigator.clipboard.readText().then((text) => text.startsWith(start))", arg=start
        )

    rich.get_by_role("button", name="Copy key").click()
    expect(rich.get_by_role("status").filter(has_text="Copied")).to_have_count(1)
    clipboard_begins(key_of(rich))
    rich.get_by_role("button", name="Copy S3 URI").click()
    clipboard_begins(f"s3://{stack.bucket.name}/{key_of(rich)}")
    rich.get_by_role("button", name="Copy as curl").click()
    clipboard_begins("curl ")
    assert "/invoices" in str(rich.evaluate("navigator.clipboard.readText()"))
    rich.get_by_role("searchbox", name="Search the JSON").fill("gold")
    rich.locator("#json li.hit .tree-line").last.hover()
    rich.get_by_role("button", name="Copy path").click()
    clipboard_begins("$.event.body.customer.tier")


def test_links_and_keys_lead_to_the_neighbours_within_the_search(page: Page) -> None:
    page.goto("/console/exceptions/?q=org%3Aorg_red+type%3AKeyError")
    page.get_by_role("button", name="more of this group").click()
    keys = page.locator("#results input[name=key]").evaluate_all("all => all.map((box) => box.value)")
    page.locator("#results [data-open]").nth(1).click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("KeyError")
    assert key_of(page) == keys[1]
    page.get_by_role("link", name="Older").click()
    arrived(page, keys[2])
    page.keyboard.press("k")
    arrived(page, keys[1])
    page.keyboard.press("k")
    arrived(page, keys[0])
    expect(page.get_by_role("link", name="Newer")).to_have_count(0)
    page.keyboard.press("j")
    arrived(page, keys[1])
    page.keyboard.press("Escape")
    expect(page).to_have_url(re.compile(r"/console/exceptions/\?q=org%3Aorg_red\+type%3AKeyError$"))


def test_the_download_is_the_object_under_a_readable_name_and_on_record(
    rich: Page, stack: Stack, tmp_path: Path
) -> None:
    with rich.expect_download() as started:
        rich.get_by_role("button", name="Download").click()
    download = started.value
    assert "X-Amz-Expires=900" in download.url and not download.url.startswith(stack.url)
    assert re.fullmatch(rf"LedgerError_org_blue_\d{{8}}T\d{{6}}Z_{RICH}\.json", download.suggested_filename)
    download.save_as(tmp_path / "trace.json")
    assert (tmp_path / "trace.json").read_bytes() == body_of(stack, key_of(rich))
    recorded = stack.rows(
        "SELECT actor_email, after->>'filename' FROM audit_entry WHERE action = %s AND resource_id = %s",
        "trace.downloaded",
        key_of(rich),
    )
    assert recorded == [("alice@dagy.example", download.suggested_filename)]


def test_what_is_no_json_is_shown_with_what_is_wrong(page: Page, stack: Stack) -> None:
    whole = trace_json(org_id="org_odd", exception_message="cut off on its way")
    bodies = {"broken": whole[:-20], "binary": bytes(range(256)) * 40, "list": b"[1, 2, 3]", "empty": b""}
    for name, body in bodies.items():
        stack.bucket.put_bytes(f"exceptions/org_odd/2026/01/15/103000000000_{name}.json", body)
    stack.wait_until_indexed("org_odd", len(bodies))
    for name in bodies:
        answer = page.goto(f"/console/exceptions/trace?key=exceptions/org_odd/2026/01/15/103000000000_{name}.json")
        assert answer is not None and answer.status == 200
        expect(page.locator(".callout")).to_contain_text("What is odd about this trace")
        expect(page.locator(".callout li").first).to_be_visible()


def test_a_trace_of_20_mb_opens_within_three_seconds(page: Page, stack: Stack) -> None:
    lines = [{"sku": f"SKU-{number:07d}", "count": number, "note": "x" * 60} for number in range(190_000)]
    body = json.dumps(json.loads(trace_json(org_id="org_huge")) | {"event": {"body": {"lines": lines}}}).encode()
    assert len(body) > 20_000_000
    key = "exceptions/org_huge/2026/01/15/103000123456_huge.json"
    stack.bucket.put_bytes(key, body)
    stack.wait_until_indexed("org_huge", 1)
    page.goto(f"/console/exceptions/trace?key={key}")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    expect(page.locator("#raw")).to_contain_text("download the trace for the rest")
    seconds = page.evaluate("performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd") / 1000
    assert seconds <= 3

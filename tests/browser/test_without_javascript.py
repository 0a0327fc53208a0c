"""The main path in a browser that runs no script at all."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import OpenAs, sign_in
from tests.browser.stack import Stack, body_of


@pytest.mark.slow("the whole walk, with full page loads")
def test_sign_in_search_read_download_and_delete_work_without_javascript(
    open_as: OpenAs, stack: Stack, tmp_path: Path
) -> None:
    keys = stack.put_many([{"org": "org_plain", "exception_message": f"plain {number}"} for number in range(3)])
    page = open_as(java_script_enabled=False)
    page.goto("/console/exceptions/")
    sign_in(page, "alice")
    expect(page).to_have_url(re.compile("/console/exceptions/$"))
    stack.wait_until_indexed("org_plain", 3)

    page.get_by_role("combobox", name="Search the traces").fill("org:org_plain")
    page.get_by_role("button", name="Search", exact=True).first.click()
    expect(page.locator(".summary")).to_contain_text("3 traces")
    page.get_by_role("button", name="By field…").click()
    page.get_by_role("textbox", name="Request id").fill("req-000")
    page.get_by_role("textbox", name="Organization").fill("org_blue")
    page.get_by_role("dialog").get_by_role("button", name="Search").click()
    expect(page.locator("#results [data-open]")).to_have_count(1)

    page.goto("/console/exceptions/?q=org%3Aorg_plain")
    page.get_by_role("complementary", name="Filters").get_by_role("link", name="ValueError", exact=False).first.click()
    expect(page.locator("#results [data-open]")).to_have_count(3)
    page.locator("#results [data-open]").first.click()
    expect(page.get_by_role("heading", name="ValueError", level=1)).to_be_visible()
    with page.expect_download() as started:
        page.get_by_role("button", name="Download").click()
    started.value.save_as(tmp_path / "trace.json")
    assert (tmp_path / "trace.json").read_bytes() in [body_of(stack, key) for key in keys]

    page.goto("/console/exceptions/?q=org%3Aorg_plain")
    boxes = page.locator("#results input[name=key]")
    kept = boxes.nth(2).get_attribute("value")
    boxes.nth(0).check()
    boxes.nth(1).check()
    page.get_by_role("button", name="Delete selected…").click()
    expect(page.get_by_role("heading", name="Delete 2 traces?")).to_be_visible()
    page.get_by_label("To go on, type the number").fill("2")
    page.get_by_role("button", name="Delete 2 traces").click()
    expect(page.get_by_role("heading", name="Deletion of 2 traces")).to_be_visible()
    # Nobody clicks: the page reloads itself until the job has ended.
    expect(page.get_by_text("2 of 2 deleted", exact=True)).to_be_visible(timeout=20_000)
    expect(page.get_by_text("done", exact=True)).to_be_visible()
    assert page.locator("meta[http-equiv=refresh]").count() == 0
    assert stack.keys_of("org_plain") == [kept]
    stack.wait_until_indexed("org_plain", 1)

"""Whoever writes or deletes a trace: the list follows within 15 seconds."""

import re
import uuid

from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenAs
from tests.browser.stack import Stack, wait_until

PROMISED_SECONDS = 15


def found(page: Page, query: str) -> int:
    """How many rows a search for `query` has now."""
    page.goto(f"/console/exceptions/?q={query}")
    return page.locator("#results [data-open]").count()


def test_an_error_of_the_api_is_answered_with_its_request_id_and_found_by_it(page: Page, open_as: OpenAs) -> None:
    answer = open_as().request.get("/demo/error")
    assert answer.status == 500
    assert answer.headers["content-type"].startswith("application/problem+json")
    problem = answer.json()
    assert problem["status"] == 500 and problem["request_id"] == answer.headers["x-request-id"]
    assert problem["request_id"] in problem["detail"] and "Traceback" not in answer.text()
    query = f"request:{problem['request_id']}"
    wait_until(lambda: found(page, query) == 1, seconds=PROMISED_SECONDS, what="the trace in the list", every=0.5)
    page.locator("#results [data-open]").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("DemoError")
    sections = page.locator("#traceback article")
    expect(sections).to_have_count(2)
    expect(sections.nth(1)).to_contain_text("KeyError")
    expect(sections.nth(0)).to_contain_text("The demo endpoint was asked to fail, and did")


def test_a_trace_of_another_program_comes_and_one_deleted_behind_our_back_goes(page: Page, stack: Stack) -> None:
    request_id = f"foreign-{uuid.uuid4().hex[:8]}"
    key = stack.bucket.put("org_foreign", request_id=request_id, exception_type="Java.lang.NullPointerException")
    wait_until(
        lambda: found(page, f"request:{request_id}") == 1, seconds=PROMISED_SECONDS, what="the row is there", every=0.5
    )
    expect(page.locator("#results [data-open]")).to_contain_text("NullPointerException")
    stack.bucket.delete(key)
    wait_until(
        lambda: found(page, f"request:{request_id}") == 0, seconds=PROMISED_SECONDS, what="the row is gone", every=0.5
    )
    expect(page.get_by_role("heading", name="No trace matches")).to_be_visible()
    assert re.search(rf"without\s+request:{request_id}", page.locator("#results").inner_text())

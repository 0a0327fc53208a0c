"""Hundreds of traces are deleted, though the worker is killed half-way; by `make test-long`, thousands."""

import json
import re
import uuid
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.stack import Stack, wait_until
from tests.timing import LONG

COUNT = 2_500 if LONG else 300
SHOWN = f"{COUNT:,}"
ORG = "org_bulk"


def small_traces(count: int) -> list[dict[str, Any]]:
    return [{"org": ORG, "traceback": "", "request_id": f"bulk-{uuid.uuid4().hex[:12]}"} for _ in range(count)]


def confirmed_deletion(page: Page) -> str:
    """From the list to the running job, with a wrong count on the way; the job's id."""
    page.goto(f"/console/exceptions/?q=org%3A{ORG}")
    page.get_by_label("Select every row of this page").check()
    page.get_by_role("button", name=f"Select all {SHOWN} that match").click()
    page.get_by_role("button", name=f"Delete {SHOWN}…").click()
    expect(page.get_by_role("heading", name=f"Delete {SHOWN} traces?")).to_be_visible()
    expect(page.get_by_text(f"org:{ORG}").first).to_be_visible()
    box = page.get_by_label("To go on, type the number")
    for wrong in (str(COUNT - 1), "all"):
        box.fill(wrong)
        page.get_by_role("button", name=f"Delete {SHOWN} traces").click()
        expect(box).to_have_attribute("aria-invalid", "true")
        expect(page.locator("#typed-count-error")).to_contain_text(f"type {COUNT}")
    box.fill(SHOWN)
    page.get_by_role("button", name=f"Delete {SHOWN} traces").click()
    expect(page.get_by_role("heading", name=f"Deletion of {SHOWN} traces")).to_be_visible()
    return re.findall(r"/deletions/([0-9a-f-]{36})/", page.url)[0]


@pytest.mark.slow("a worker is killed and comes back")
def test_bulk_deletion_resumes_after_the_worker_is_killed(page: Page, stack: Stack) -> None:
    page.watcher.allow("status of 422")  # type: ignore[attr-defined]
    stack.put_many(small_traces(COUNT))
    stack.wait_until_indexed(ORG, COUNT, seconds=90)
    job = confirmed_deletion(page)
    later = set(stack.put_many(small_traces(5)))

    page.evaluate("""() => {
      const line = () => document.querySelector("#progress dd").textContent.trim();
      window.seen = new Set([line()]);
      const everything = {subtree: true, childList: true, characterData: true};
      new MutationObserver(() => window.seen.add(line())).observe(document.body, everything);
    }""")
    wait_until(
        lambda: len(stack.keys_of(ORG)) < COUNT / 2 + 5, seconds=90, what="half of the traces deleted", every=0.05
    )
    stack.kill("jobs")
    left = len(stack.keys_of(ORG))
    assert left > 5, "killed too late: nothing was left to resume"
    expect(page.get_by_text("done", exact=True)).to_have_count(0)
    stack.restart_worker()

    # The page is never loaded again: it follows the job by itself, over the worker's death, to the end.
    expect(page.get_by_text(f"{SHOWN} of {SHOWN} deleted", exact=True)).to_be_visible(timeout=90_000)
    expect(page.get_by_text("done", exact=True)).to_be_visible()
    assert page.evaluate("window.seen.size") >= 2
    assert set(stack.keys_of(ORG)) == later
    stack.wait_until_indexed(ORG, len(later))
    assert {key for (key,) in stack.rows("SELECT key FROM trace WHERE org_id = %s", ORG)} == later
    assert_recorded_once(stack, job)
    # The dead worker was following the bucket, too: the new one has taken that over.
    stack.bucket.put("org_after")
    stack.wait_until_indexed("org_after", 1)


def assert_recorded_once(stack: Stack, job: str) -> None:
    recorded = stack.rows(
        "SELECT action, outcome, actor_email, after FROM audit_entry WHERE resource_id = %s ORDER BY at", job
    )
    assert [row[:3] for row in recorded] == [
        ("deletion.started", "success", "alice@dagy.example"),
        ("deletion.finished", "success", "alice@dagy.example"),
    ]
    started, finished = (json.loads(row[3]) if isinstance(row[3], str) else row[3] for row in recorded)
    assert started["matched"] == finished["matched"] == finished["deleted"] == COUNT
    assert finished["state"] == "succeeded" and finished["failed"] == 0

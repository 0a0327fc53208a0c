"""Runs that really run: the walk from the list to the failing line, what is live, and barriers."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenAs
from tests.browser.stack import PEOPLE, Stack, wait_until
from tests.browser.test_accessibility import violations
from tests.console import PASSWORD
from tests.runs.support import Caller

FLOWS = """
import logging, time
from dagy import flow, task

log = logging.getLogger("app")

@task
def extract():
    for number in range(400):
        log.info("\\x1b[32mrow\\x1b[0m %d", number)
    return 400

@task
def load(rows, how: str):
    if how == "fails":
        raise LookupError("no such table: <b>orders</b>")
    if how == "slow":
        for second in range(600):
            log.info("second %d", second)
            time.sleep(0.2)

@task
def report(loaded): ...

@flow
def nightly(how: str = "works"):
    report(load(extract(), how))
"""


@pytest.fixture(scope="module")
def bob(stack: Stack) -> Caller:
    caller = Caller(stack.url, PEOPLE["bob"], PASSWORD)
    caller.deploy(FLOWS, "nightly")
    return caller


@pytest.fixture(scope="module")
def failed(bob: Caller) -> str:
    run = bob.trigger("nightly", how="fails")["id"]
    wait_until(lambda: bob.call(f"/runs/{run}")["status"] == "FAILED", seconds=30, what="the end of the run")
    return str(run)


def test_from_the_list_to_the_failing_line_in_two_clicks(page: Page, failed: str) -> None:
    page.goto("/console/runs/?q=status%3AFAILED")
    page.locator(f'a[data-open][href*="{failed}"]').click()
    expect(page.get_by_role("heading", name="First failure: load")).to_be_visible()
    page.get_by_role("link", name="To the line in the log").click()
    line = page.locator(".log-line.marked")
    expect(line).to_be_in_viewport()
    expect(line).to_contain_text("LookupError: no such table: <b>orders</b>")
    expect(page.locator(".ansi-2").first).to_have_text("row")


@pytest.mark.slow("a run goes on for seconds and is cancelled")
def test_a_run_is_watched_while_it_goes_on_and_cancelled(open_as: OpenAs, bob: Caller) -> None:
    run = bob.trigger("nightly", how="slow")["id"]
    page = open_as("bob")
    page.goto(f"/console/runs/{run}/log/")
    last = page.locator(".log-line").last
    expect(last).to_contain_text(re.compile(r"second \d+"))
    expect(last).to_contain_text(re.compile(r"second [1-9]\d"))
    expect(last).to_be_in_viewport()
    page.get_by_label("Follow").uncheck()
    page.goto(f"/console/runs/{run}/")
    page.get_by_role("button", name="Cancel the run").click()
    expect(page.locator(".head .badge")).to_have_text("stopped", timeout=15_000)
    expect(page.locator("#live")).not_to_have_attribute("hx-get", re.compile("."))


@pytest.mark.parametrize("path", ["", "log/?level=ERROR", "graph/", "changes/", "task/?id=load"])
def test_the_pages_of_a_run_have_no_barriers(page: Page, failed: str, path: str) -> None:
    page.goto(f"/console/runs/{failed}/{path}")
    assert violations(page) == {}


@pytest.mark.parametrize("path", ["", "stuck/", "new/"])
def test_the_other_pages_of_runs_have_no_barriers(page: Page, failed: str, path: str) -> None:
    page.goto(f"/console/runs/{path}")
    assert violations(page) == {}


def test_without_javascript_the_same_walk_leads_there(open_as: OpenAs, failed: str) -> None:
    page = open_as("bob", java_script_enabled=False)
    page.goto("/console/runs/?q=status%3AFAILED")
    page.locator(f'a[data-open][href*="{failed}"]').click()
    page.get_by_role("link", name="To the line in the log").click()
    expect(page.locator(".log-line.marked")).to_contain_text("LookupError")

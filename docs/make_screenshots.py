"""Make docs/screenshots/ anew from a console that runs (`make run`): `.local/venv/bin/python docs/make_screenshots.py`.

Needs a Chromium: the one that CHROMIUM names, or the first on PATH. It stops at a deletion's question; all that it does
is to act as Bob for a moment, read-only.
"""

import argparse
import json
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "docs" / "screenshots"
DESK = {"width": 1440, "height": 900}
PHONE = {"width": 390, "height": 844}
LIST = "/console/exceptions/?q=after%3A-7d"
_FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync"]


def main() -> int:
    """Exit code 1, and one line that says why, where no console runs or no Chromium is found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, default=ROOT / ".local" / "run.json", help="what `make run` has written")
    arguments = parser.parse_args()
    names = (os.environ.get("CHROMIUM"), "chromium", "chromium-browser", "google-chrome")
    chromium = next((found for name in names if name and (found := shutil.which(name))), None)
    if chromium is None:
        return _fail("No Chromium was found: set CHROMIUM to the path of one.")
    if not arguments.run.exists():
        return _fail(f"{arguments.run} is not there: start the console with `make run` first.")
    TARGET.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=_FLAGS)
        _take_all(browser, json.loads(arguments.run.read_text()))
        browser.close()
    return 0


def _take_all(browser: Browser, run: dict[str, Any]) -> None:
    state = _sign_in(browser, run)
    with _page(browser, run, state, DESK, "light") as page:
        _show(page, "/console/", "home")
        _show(page, LIST, "exceptions-light")
        page.goto("/console/exceptions/?q=type%3AIntegrityError")
        _ask_to_delete_all(page)
        _take(page, "deletion")
        page.goto("/console/exceptions/?q=type%3AIntegrityError")
        page.locator("[data-row] [data-open]").first.click()
        page.get_by_role("heading", name="Traceback").wait_for()
        _take(page, "trace-light")
        page.locator(".group-line a").first.click()
        page.get_by_role("heading", name="What they share").wait_for()
        _take(page, "group")
        _show(page, "/console/runs/", "runs")
        page.goto("/console/runs/?q=flow%3Ainvoice_import+status%3AFAILED")
        page.locator("[data-row] [data-open]").first.click()
        page.get_by_role("heading", name="First failure").wait_for()
        _take(page, "run")
        _show(page, "/console/customers/org_blue/", "customer")
        page.goto("/console/alerts/?q=status%3Afiring")
        page.locator("[data-row] [data-open]").first.click()
        page.get_by_role("heading", name="What was told of it").wait_for()
        _take(page, "alert")
        page.goto("/console/alerts/rules/new/?usual=customer-hit")
        page.get_by_label("Than").fill("15")
        page.get_by_label("In the last").select_option("3600")
        page.get_by_text("Would have fired").wait_for()
        _take(page, "rule")
        _act_as_bob(page, run["users"]["owner"]["email"])
        _show(page, "/console/audit/", "impersonation")
        page.get_by_role("region", name="Impersonation").get_by_role("button").click()
        page.get_by_role("heading", name="Impersonations").wait_for()
    with _page(browser, run, state, DESK, "dark") as page:
        _show(page, LIST, "exceptions-dark")
    with _page(browser, run, state, PHONE, "light") as page:
        _show(page, LIST, "phone")


def _act_as_bob(page: Page, email: str) -> None:
    page.goto("/console/impersonations/new/")
    page.get_by_label("Person").fill(email)
    page.get_by_label("Reason").fill("Ticket 4711: cannot see their runs")
    page.get_by_role("button", name="Act as this person").click()
    page.get_by_role("region", name="Impersonation").wait_for()


def _sign_in(browser: Browser, run: dict[str, Any]) -> Any:
    """The cookies of the super admin."""
    context = browser.new_context(base_url=run["url"])
    page = context.new_page()
    page.goto("/accounts/login/")
    page.get_by_label("Email").fill(run["users"]["super_admin"]["email"])
    page.get_by_label("Password").fill(run["users"]["super_admin"]["password"])
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("heading", name="Home").wait_for()
    state = context.storage_state()
    context.close()
    return state


@contextmanager
def _page(browser: Browser, run: dict[str, Any], state: Any, size: dict[str, int], theme: str) -> Iterator[Page]:
    options: dict[str, Any] = {"viewport": size, "color_scheme": theme, "reduced_motion": "reduce"}
    context = browser.new_context(base_url=run["url"], storage_state=state, **options)
    yield context.new_page()
    context.close()


def _show(page: Page, path: str, name: str) -> None:
    page.goto(path, wait_until="networkidle")
    _take(page, name)


def _take(page: Page, name: str) -> None:
    page.screenshot(path=TARGET / f"{name}.png")


def _ask_to_delete_all(page: Page) -> None:
    """To the confirmation of a deletion of all that match the search."""
    page.get_by_role("link", name="that match…").click()
    page.get_by_label("To go on, type the number").wait_for()


def _fail(said: str) -> int:
    sys.stderr.write(f"{said}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())

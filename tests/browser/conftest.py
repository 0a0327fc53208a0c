"""Chromium, the stack, and pages of people who are signed in."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.browser.corpus import COUNT, seed
from tests.browser.stack import PEOPLE, Stack, running_stack, wait_until
from tests.browser.watching import Watcher
from tests.console import PASSWORD

CHROMIUM = os.environ.get("DAGY_CHROMIUM", "")
_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
_PATIENCE_MS = 10_000
_HERE = Path(__file__).parent
OpenAs = Callable[..., Page]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Two test processes run these, each with a stack: that of the tests for barriers is only read, and takes as long
    as all others. First, since xdist's own hook reads the marks."""
    for item in items:
        if not item.path.is_relative_to(_HERE):
            continue
        item.add_marker(pytest.mark.xdist_group("barriers" if item.path.name == "test_accessibility.py" else "stack"))
        if not CHROMIUM:
            item.add_marker(pytest.mark.skip(reason="no Chromium was found: set CHROMIUM to the path of one"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    report: Any = yield
    stack = getattr(item, "funcargs", {}).get("stack")
    if report.failed and stack is not None:
        report.sections.append(("the stack's logs", stack.tail()))
    return report


@pytest.fixture(scope="package")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with running_stack(tmp_path_factory.mktemp("stack"), seed) as running:
        wait_until(
            lambda: running.rows("SELECT count(*) FROM trace")[0][0] > COUNT,
            seconds=60,
            what="the first traces indexed",
        )
        yield running


# Ends with this package: while Playwright runs, Django's ORM takes the thread for one of asyncio.
@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    expect.set_options(timeout=_PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(_FLAGS))
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def sessions(chromium: Browser, stack: Stack) -> Callable[[str], Any]:
    """The cookies of each person, signed in once."""
    states: dict[str, Any] = {}

    def state_of(person: str) -> Any:
        if person not in states:
            context = chromium.new_context(base_url=stack.url)
            page = context.new_page()
            page.goto("/accounts/login/")
            sign_in(page, person)
            states[person] = context.storage_state()
            context.close()
        return states[person]

    return state_of


@contextmanager
def opening(chromium: Browser, stack: Stack, sessions: Callable[[str], Any]) -> Iterator[OpenAs]:
    """New pages of a person (None: of nobody), in the block; what goes wrong in them is raised at its end."""
    opened: list[tuple[BrowserContext, Watcher]] = []

    def open_page(person: str | None = None, **options: Any) -> Page:
        usual = {"base_url": stack.url, "viewport": {"width": 1440, "height": 900}, "accept_downloads": True}
        state = sessions(person) if person else None
        context = chromium.new_context(**(usual | options), storage_state=state)
        context.set_default_timeout(_PATIENCE_MS)
        context.grant_permissions(["clipboard-read", "clipboard-write"])
        watcher = Watcher(context)
        opened.append((context, watcher))
        page = context.new_page()
        page.watcher = watcher  # type: ignore[attr-defined]
        return page

    yield open_page
    for context, _ in opened:
        context.close()
    for _, watcher in opened:
        watcher.check()


@pytest.fixture
def open_as(chromium: Browser, stack: Stack, sessions: Callable[[str], Any]) -> Iterator[OpenAs]:
    """Opens a new page of a person; what goes wrong in it fails the test at its end."""
    with opening(chromium, stack, sessions) as open_page:
        yield open_page


@pytest.fixture
def page(open_as: OpenAs) -> Page:
    """Alice's, the super admin's."""
    return open_as("alice")


def sign_in(page: Page, person: str, password: str = PASSWORD) -> None:
    """Fill in the form that is open, and send it."""
    page.get_by_label("Email").fill(PEOPLE[person])
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_load_state()


def allow(page: Page, pattern: str) -> None:
    """Tell the watcher of `page` that the test itself brings this about."""
    watcher: Watcher = page.watcher  # type: ignore[attr-defined]
    watcher.allow(pattern)

"""The powers over customers, in real browsers: two of them where one acts and the other feels it."""

import time
from collections.abc import Iterator

import psycopg
import pytest
from django.contrib.sessions.backends.db import SessionStore
from playwright.sync_api import Page, expect

from dagy_console.accounts.proving import PROVED_AT
from tests.browser.conftest import OpenAs, allow, sign_in
from tests.browser.stack import Stack
from tests.browser.test_accessibility import violations
from tests.console import PASSWORD

SIZES = {"wide": (1440, 900), "phone": (390, 844)}


def execute(stack: Stack, query: str, *values: object) -> None:
    with psycopg.connect(stack.database_url) as connection:
        connection.execute(query.encode(), values)


@pytest.fixture
def alice(open_as: OpenAs) -> Page:
    """Signed in for this test alone: it may change what her session is."""
    page = open_as()
    page.goto("/accounts/login/")
    sign_in(page, "alice")
    return page


@pytest.fixture
def blue_goes_on(stack: Stack) -> Iterator[None]:
    yield
    execute(stack, "UPDATE accounts_suspension SET lifted_at = now() WHERE lifted_at IS NULL")


def act_as_bob(page: Page) -> None:
    page.goto("/console/customers/org_blue/")
    page.get_by_role("link", name="Act as bob@blue.example").click()
    page.get_by_label("Reason").fill("Ticket 4711: their runs do not start")
    page.get_by_role("button", name="Act as this person").click()
    expect(page).to_have_url("/console/")


@pytest.mark.usefixtures("blue_goes_on")
def test_a_suspension_is_felt_at_the_next_click_in_another_browser_and_so_is_its_end(open_as: OpenAs) -> None:
    page, bob = open_as("alice"), open_as("bob")
    allow(bob, "status of 403")
    bob.goto("/console/")
    expect(bob.get_by_role("navigation", name="Main")).to_be_visible()
    page.goto("/console/customers/org_blue/")
    page.get_by_role("link", name="Suspend…").click()
    expect(page.get_by_text("A mail goes to bob@blue.example.")).to_be_visible()
    page.get_by_label("Reason").fill("The invoice of June is open")
    page.get_by_label("Note to the customer").fill("Please call us about the invoice of June.")
    page.get_by_label("Until").fill("7d")
    page.get_by_role("button", name="Suspend Blue Analytics").click()
    expect(page.get_by_role("heading", name="Suspended just now by alice@dagy.example")).to_be_visible()
    bob.get_by_role("link", name="Audit").click()
    expect(bob.get_by_role("heading", name="Blue Analytics is suspended")).to_be_visible()
    expect(bob.get_by_text("Please call us about the invoice of June.")).to_be_visible()
    assert violations(bob) == {}
    page.get_by_label("Reason").fill("They have paid.")
    page.get_by_role("button", name="Lift the suspension").click()
    expect(page.get_by_role("link", name="Suspend…")).to_be_visible()
    bob.reload()
    expect(bob.get_by_role("heading", name="Audit", level=1)).to_be_visible()


@pytest.mark.parametrize("size", SIZES)
def test_an_impersonation_stands_above_every_page_until_it_is_ended(alice: Page, size: str) -> None:
    allow(alice, "status of 403")
    width, height = SIZES[size]
    act_as_bob(alice)
    alice.set_viewport_size({"width": width, "height": height})
    banner = alice.get_by_role("region", name="Impersonation")
    for path in ("/console/", "/console/audit/", "/console/team/", "/console/exceptions/"):
        alice.goto(path)
        expect(banner).to_be_in_viewport()
        expect(banner).to_contain_text("You see Dagy as bob@blue.example, read-only.")
        expect(banner).to_contain_text("in 14 min")
    alice.goto("/console/")
    assert violations(alice) == {}
    banner.get_by_role("button", name="Be alice@dagy.example again").click()
    expect(alice.get_by_role("heading", name="Impersonations", level=1)).to_be_visible()
    expect(banner).to_have_count(0)


def test_a_page_that_is_refused_has_the_way_back_too(alice: Page) -> None:
    allow(alice, "status of 403")
    act_as_bob(alice)
    alice.goto("/console/exceptions/")
    expect(alice.get_by_role("heading", name="Not allowed")).to_be_visible()
    alice.get_by_role("button", name="Be alice@dagy.example again").click()
    expect(alice.get_by_role("heading", name="Impersonations", level=1)).to_be_visible()


def test_what_another_tab_holds_is_not_done_as_oneself_once_the_impersonation_has_ended(alice: Page) -> None:
    allow(alice, "status of 403")
    act_as_bob(alice)
    tab = alice.context.new_page()
    tab.goto("/console/")
    alice.get_by_role("button", name="Be alice@dagy.example again").click()
    expect(alice.get_by_role("heading", name="Impersonations", level=1)).to_be_visible()
    tab.get_by_role("button", name="Dark").click()
    expect(tab.get_by_role("heading", name="The form has expired")).to_be_visible()


def test_who_signed_in_a_while_ago_is_asked_and_goes_on_with_what_was_filled_in(alice: Page, stack: Stack) -> None:
    grow_old(alice, stack)
    alice.goto("/console/impersonations/new/?email=bob%40blue.example")
    alice.get_by_label("Reason").fill("Ticket 4711: “quotes” & <marks>")
    alice.get_by_role("button", name="Act as this person").click()
    expect(alice.get_by_role("heading", name="Is it you?")).to_be_visible()
    expect(alice.get_by_text("Next: Act as bob@blue.example")).to_be_visible()
    assert violations(alice) == {}
    allow(alice, "status of 422")
    alice.get_by_label("Your password").fill("not it")
    alice.get_by_role("button", name="Act as bob@blue.example").click()
    expect(alice.get_by_role("alert")).to_contain_text("Nothing was done yet.")
    alice.get_by_label("Your password").fill(PASSWORD)
    alice.get_by_role("button", name="Act as bob@blue.example").click()
    expect(alice.get_by_role("region", name="Impersonation")).to_be_visible()
    ((reason,),) = stack.rows("SELECT reason FROM accounts_impersonation ORDER BY started_at DESC LIMIT 1")
    assert reason == "Ticket 4711: “quotes” & <marks>"


def grow_old(page: Page, stack: Stack) -> None:
    """The page's session was proved long ago."""
    (key,) = (cookie["value"] for cookie in page.context.cookies() if cookie["name"] == "dagy")
    ((kept,),) = stack.rows("SELECT session_data FROM django_session WHERE session_key = %s", key)
    store = SessionStore()
    data = store.decode(kept) | {PROVED_AT: time.time() - 10_000}
    execute(stack, "UPDATE django_session SET session_data = %s WHERE session_key = %s", store.encode(data), key)


def test_sessions_of_a_person_end_in_their_browser(open_as: OpenAs) -> None:
    page, theirs = open_as("alice"), open_as()
    theirs.goto("/accounts/login/")
    sign_in(theirs, "vera")
    expect(theirs.get_by_role("heading", name="Home", level=1)).to_be_visible()
    page.goto("/console/customers/org_blue/")
    page.get_by_role("link", name="End the sessions of vera@blue.example").click()
    page.get_by_label("Reason").fill("Their laptop was stolen")
    page.get_by_role("button", name="End all sessions").click()
    expect(page.get_by_text("ended.")).to_be_visible()
    theirs.reload()
    expect(theirs.get_by_role("heading", name="Sign in")).to_be_visible()

"""A second factor set up and used as a person does it, with Chromium's own virtual passkey device."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.accounts.test_second_factor import code_of
from tests.browser.conftest import OpenAs, sign_in
from tests.browser.stack import PEOPLE, Stack
from tests.browser.test_accessibility import violations


@pytest.fixture(autouse=True)
def _without_factors(stack: Stack) -> Iterator[None]:
    """The others sign in by password alone, before and after."""
    yield
    stack.execute("DELETE FROM mfa_authenticator")


@pytest.fixture
def by_name(stack: Stack) -> str:
    """The console's address by name: an IP address can't have passkeys."""
    return stack.url.replace("127.0.0.1", "localhost")


def with_device(page: Page) -> None:
    """Give the page a device that keeps passkeys and whose owner always agrees."""
    session = page.context.new_cdp_session(page)
    session.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    session.send("WebAuthn.addVirtualAuthenticator", {"options": options})


def enter(page: Page, person: str) -> None:
    page.goto("/accounts/login/")
    sign_in(page, person)


def leave(page: Page) -> None:
    page.goto("/console/account/")
    menu = page.locator(".who > summary")
    if menu.is_visible():
        menu.click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def set_up_app(page: Page) -> str:
    """The seed that the page shows, as a phone would keep it."""
    page.goto("/console/account/")
    page.get_by_role("link", name="Set up…").click()
    expect(page.get_by_role("img", name="QR code")).to_be_visible()
    secret = page.get_by_role("button", name="Copy the key").get_attribute("data-copy")
    assert secret
    page.get_by_label("Type the code").fill(code_of(secret))
    page.get_by_role("button", name="Turn it on").click()
    expect(page.get_by_role("heading", name="Recovery codes")).to_be_visible()
    return secret


def test_an_authenticator_app_is_set_up_and_signs_in(open_as: OpenAs) -> None:
    page = open_as()
    enter(page, "bob")
    secret = set_up_app(page)
    codes = page.locator("#codes code").all_text_contents()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download as text").click()
    assert download.value.suggested_filename == "dagy-recovery-codes.txt"
    assert download.value.path().read_text().split() == codes
    leave(page)
    page.goto("/console/audit/")
    sign_in(page, "bob")
    expect(page.get_by_role("heading", name="Second factor")).to_be_visible()
    page.get_by_label("Code").fill("000000")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_text("That did not match")).to_be_visible()
    page.get_by_label("Code").fill(codes[0])
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_url(re.compile(r"/console/audit/$"))
    page.goto("/console/account/")
    expect(page.get_by_text("9 of 10 unused")).to_be_visible()
    assert secret not in page.content()


def test_a_passkey_is_added_and_signs_in_alone(open_as: OpenAs, by_name: str, stack: Stack) -> None:
    page = open_as(base_url=by_name)
    with_device(page)
    enter(page, "bob")
    page.goto("/console/account/")
    page.get_by_role("link", name="Add a passkey").click()
    page.get_by_label("Name").fill("My laptop")
    page.get_by_role("button", name="Add a passkey").click()
    expect(page.get_by_role("heading", name="Recovery codes")).to_be_visible()
    leave(page)
    page.goto("/console/audit/")
    page.get_by_role("button", name="Use a passkey").click()
    expect(page).to_have_url(re.compile(r"/console/audit/$"))
    query = "SELECT action FROM audit_entry WHERE actor_email = %s AND action LIKE 'user.%%' ORDER BY at"
    entries = stack.rows(query, PEOPLE["bob"])
    assert [action for (action,) in entries][-2:] == ["user.passkey_added", "user.recovery_codes_made"]
    page.goto("/console/account/")
    page.get_by_role("link", name="Remove… My laptop").click()
    page.get_by_role("button", name="Remove it").click()
    expect(page.get_by_text("None yet.")).to_be_visible()
    leave(page)
    page.get_by_role("button", name="Use a passkey").click()
    expect(page.get_by_text("Nobody signs in here with that passkey.")).to_be_visible()


def test_a_passkey_is_the_second_factor_after_the_password(open_as: OpenAs, by_name: str) -> None:
    page = open_as(base_url=by_name)
    with_device(page)
    enter(page, "vera")
    page.goto("/console/account/passkeys/add/")
    page.get_by_role("button", name="Add a passkey").click()
    expect(page.get_by_role("heading", name="Recovery codes")).to_be_visible()
    leave(page)
    enter(page, "vera")
    expect(page.get_by_role("heading", name="Second factor")).to_be_visible()
    page.get_by_role("button", name="Use a passkey").click()
    expect(page).to_have_url(re.compile(r"/console/$"))


def test_a_device_without_a_passkey_signs_nobody_in_and_says_so(open_as: OpenAs, by_name: str) -> None:
    page = open_as(base_url=by_name)
    # Without a passkey for this console the device has nothing to give, and the browser says no for it.
    with_device(page)
    page.goto("/accounts/login/")
    page.get_by_role("button", name="Use a passkey").click()
    expect(page.get_by_role("alert")).to_contain_text("No passkey was given")
    expect(page.get_by_role("button", name="Use a passkey")).to_be_enabled()


def test_at_an_ip_address_it_says_why_there_are_none(open_as: OpenAs) -> None:
    page = open_as()
    with_device(page)
    page.goto("/accounts/login/")
    page.get_by_role("button", name="Use a passkey").click()
    expect(page.get_by_role("alert")).to_contain_text("There are no passkeys at this address")


def test_everything_but_passkeys_works_without_javascript(open_as: OpenAs) -> None:
    page = open_as(java_script_enabled=False)
    enter(page, "vera")
    page.goto("/console/account/totp/")
    secret = "".join(page.locator(".seed").inner_text().split())
    page.get_by_label("Type the code").fill(code_of(secret))
    page.get_by_role("button", name="Turn it on").click()
    code = page.locator("#codes code").first.inner_text()
    leave(page)
    expect(page.get_by_role("button", name="Use a passkey")).to_have_count(0)
    sign_in(page, "vera")
    page.get_by_label("Code").fill(code)
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_url(re.compile(r"/console/$"))


@pytest.mark.slow("a dozen pages")
def test_no_page_of_ones_account_has_barriers(open_as: OpenAs, by_name: str) -> None:
    page = open_as(base_url=by_name)
    with_device(page)
    enter(page, "bob")
    for path in ("", "password/", "totp/", "passkeys/add/"):
        page.goto(f"/console/account/{path}")
        assert violations(page) == {}, path
    set_up_app(page)
    assert violations(page) == {}
    page.goto("/console/account/passkeys/add/")
    page.get_by_role("button", name="Add a passkey").click()
    expect(page.get_by_role("heading", name="Your account")).to_be_visible()
    assert violations(page) == {}
    for path in ("/console/account/totp/off/", "/accounts/reauthenticate/code/", "/accounts/reauthenticate/passkey/"):
        page.goto(path)
        assert violations(page) == {}, path
    leave(page)
    enter(page, "bob")
    assert violations(page) == {}

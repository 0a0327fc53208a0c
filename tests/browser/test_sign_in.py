"""Who enters, who does not, and what they see of the house."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import OpenAs, allow, sign_in


def test_a_wrong_password_says_so_and_the_right_one_lands_on_home(open_as: OpenAs) -> None:
    page = open_as()
    page.goto("/accounts/login/")
    sign_in(page, "alice", password="not the password")
    expect(page.get_by_role("alert")).to_contain_text("Not signed in")
    expect(page.get_by_label("Email")).to_have_value("alice@dagy.example")
    sign_in(page, "alice")
    expect(page).to_have_url(re.compile(r"/console/$"))
    expect(page.get_by_role("heading", name="Home", level=1)).to_be_visible()


def test_after_signing_out_the_back_button_shows_nothing_but_the_sign_in_page(open_as: OpenAs) -> None:
    page = open_as()
    page.goto("/accounts/login/")
    sign_in(page, "alice")
    page.goto("/console/exceptions/")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    page.go_back()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    expect(page.get_by_role("table")).to_have_count(0)


def test_who_is_not_signed_in_signs_in_and_is_where_they_wanted(open_as: OpenAs) -> None:
    page = open_as()
    page.goto("/console/exceptions/?q=org%3Aorg_red")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    sign_in(page, "alice")
    expect(page).to_have_url(re.compile(r"/console/exceptions/\?q=org%3Aorg_red$"))
    expect(page.get_by_role("combobox", name="Search the traces")).to_have_value("org:org_red")


@pytest.mark.parametrize(("person", "reads_audit"), [("bob", True), ("vera", False)])
def test_a_customer_finds_no_exceptions_and_no_door_to_them(open_as: OpenAs, person: str, reads_audit: bool) -> None:
    page = open_as(person)
    allow(page, "status of 403")
    page.goto("/console/")
    navigation = page.get_by_role("navigation", name="Main")
    expect(navigation.get_by_role("link", name="Home")).to_be_visible()
    expect(navigation.get_by_role("link", name="Exceptions")).to_have_count(0)
    expect(navigation.get_by_role("link", name="Audit")).to_have_count(1 if reads_audit else 0)
    for path in ("/console/exceptions/", "/console/exceptions/deletions/", "/console/system/"):
        answer = page.goto(path)
        assert answer is not None and answer.status == 403
        expect(page.get_by_role("link", name="To the console")).to_be_visible()
        expect(page.get_by_role("table")).to_have_count(0)
    answer = page.goto("/console/audit/")
    assert answer is not None and answer.status == (200 if reads_audit else 403)

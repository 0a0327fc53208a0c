"""An API key is made, copied, used and revoked in the browser."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.test_accessibility import violations


@pytest.mark.slow("five states of its pages are checked for barriers")
def test_a_key_is_made_with_scopes_used_and_revoked(open_as):
    page = open_as("bob")
    page.goto("/console/account/api-keys/")
    page.get_by_role("link", name="New API key").first.click()
    page.get_by_label("Name").fill("deploys from CI")
    expect(page.get_by_label("runs.read")).to_be_hidden()
    page.get_by_label("Only what is ticked here").check()
    page.get_by_label("runs.read").check()
    assert violations(page) == {}
    page.get_by_role("button", name="Make the key").click()
    expect(page.get_by_role("heading", name="deploys from CI is made")).to_be_visible()
    assert violations(page) == {}
    page.get_by_role("button", name="Copy the key").click()
    key = page.evaluate("navigator.clipboard.readText()")
    assert re.fullmatch(r"dagy_sk_\w{46}", key)

    program = {"Authorization": f"Bearer {key}"}
    assert page.request.get("/me", headers=program).json()["permissions"] == ["runs.read"]
    page.get_by_role("link", name="I have it").click()
    expect(page.get_by_text(key)).to_have_count(0)
    page.get_by_role("link", name="Revoke deploys from CI").click()
    assert violations(page) == {}
    page.get_by_role("button", name="Revoke it").click()
    expect(page.get_by_role("row", name="deploys from CI")).to_contain_text("revoked")
    assert violations(page) == {}
    assert page.request.get("/me", headers=program).status == 401


def test_the_pages_fit_a_phone(open_as):
    page = open_as("bob", viewport={"width": 390, "height": 844})
    for address in ("/console/account/api-keys/", "/console/account/api-keys/new/"):
        page.goto(address)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390

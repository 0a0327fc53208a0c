"""The list: narrowed by box, facet and time; the URL is all of its state."""

import re

from playwright.sync_api import Page, expect

from tests.browser.conftest import allow


def opened(page: Page) -> list[str]:
    """Where the rows of the list lead to."""
    return [str(href) for href in page.locator("#results [data-open]").evaluate_all("all => all.map(a => a.href)")]


def rows_mention(page: Page, text: str) -> None:
    rows = page.locator("#results [data-row]")
    expect(rows.filter(has_text=text)).to_have_count(rows.count())


def test_the_box_narrows_the_list_and_a_reload_shows_the_same_rows(page: Page) -> None:
    page.goto("/console/exceptions/")
    box = page.get_by_role("combobox", name="Search the traces")
    box.fill('org:org_red type:ValueError "could not"')
    box.press("Enter")
    expect(page).to_have_url(re.compile(r"q=org%3Aorg_red"))
    expect(page.locator(".summary")).to_contain_text("10 traces")
    rows_mention(page, "ValueError")
    before = opened(page)
    assert len(before) == 10
    page.reload()
    assert opened(page) == before
    expect(box).to_have_value('org:org_red type:ValueError "could not"')


def test_facets_and_time_ranges_are_clicks_that_edit_the_search(page: Page) -> None:
    page.goto("/console/exceptions/?q=booked")
    filters = page.get_by_role("complementary", name="Filters")
    filters.get_by_role("link", name=re.compile("^org_green")).click()
    expect(page).to_have_url(re.compile(r"org%3Aorg_green"))
    expect(page.locator(".summary")).to_contain_text("40 traces")
    rows_mention(page, "org_green")
    filters.get_by_role("link", name="Without KeyError").click()
    expect(page.locator(".summary")).to_contain_text("30 traces")
    page.get_by_role("navigation", name="Time range").get_by_role("link", name="1 h", exact=True).click()
    expect(page).to_have_url(re.compile(r"after%3A-1h"))
    expect(page.locator(".summary")).to_contain_text("1 trace")
    expect(page.get_by_role("combobox", name="Search the traces")).to_have_value(re.compile("after:-1h"))
    page.get_by_role("link", name="Remove org:org_green").click()
    expect(page.locator(".summary")).to_contain_text("5 traces")


def test_the_next_page_holds_older_traces_and_back_returns(page: Page) -> None:
    page.goto("/console/exceptions/?q=invoice")
    newest = opened(page)
    page.get_by_role("link", name="Older").click()
    expect(page).to_have_url(re.compile("cursor="))
    expect(page.get_by_role("link", name="Newest")).to_be_visible()
    older = opened(page)
    assert older and not set(newest) & set(older)
    page.reload()
    assert opened(page) == older
    page.go_back()
    expect(page).not_to_have_url(re.compile("cursor="))
    expect(page.get_by_role("link", name="Newest")).to_have_count(0)
    assert opened(page) == newest


def test_a_search_that_cannot_be_read_says_where_and_keeps_what_was_typed(page: Page) -> None:
    allow(page, "status of 422")
    page.goto("/console/exceptions/")
    box = page.get_by_role("combobox", name="Search the traces")
    box.fill("colour:red")
    box.press("Enter")
    expect(page.get_by_role("alert").filter(has_text="The search could not be read")).to_contain_text("colour")
    expect(box).to_have_value("colour:red")
    box.fill("org:org_red")
    box.press("Enter")
    expect(page.locator(".summary")).to_contain_text("40 traces")


def test_the_form_by_field_writes_the_search(page: Page) -> None:
    page.goto("/console/exceptions/")
    page.get_by_role("button", name="By field…").click()
    dialog = page.get_by_role("dialog", name="Search by field")
    dialog.get_by_label("Organization").fill("org_blue")
    dialog.get_by_label("Method").fill("GET")
    dialog.get_by_role("button", name="Search").click()
    expect(page).to_have_url(re.compile(r"q=org%3Aorg_blue\+method%3AGET$"))
    expect(page.locator(".summary")).to_contain_text("8 traces")
    expect(page.get_by_role("combobox", name="Search the traces")).to_have_value("org:org_blue method:GET")

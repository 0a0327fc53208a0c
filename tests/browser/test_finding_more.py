"""One reads less and finds more: the box completes, the chart is brushed, focus returns, filters are a sheet."""

import re
from urllib.parse import parse_qs, urlsplit

from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import OpenAs


def query_of(page: Page) -> str:
    return parse_qs(urlsplit(page.url).query).get("q", [""])[0]


def edges(bar: Locator) -> tuple[str, str]:
    """The minutes that a bar leads to."""
    (query,) = parse_qs(urlsplit(str(bar.get_attribute("href"))).query)["q"]
    after, before = re.findall(r"(?:after|before):(\S+)", query)
    return after, before


def test_the_box_offers_keys_and_then_their_values(page: Page) -> None:
    page.goto("/console/exceptions/")
    box = page.get_by_role("combobox", name="Search the traces")
    options = page.locator("#completions option")
    box.press_sequentially("org:org_red sta")
    expect(options).to_have_count(1)
    expect(options).to_have_attribute("value", "org:org_red status:")
    box.press_sequentially("tus:o")
    expect(options).to_have_attribute("value", "org:org_red status:open")
    box.fill("org:org_red status:open")
    box.press("Enter")
    expect(page.locator(".summary")).to_contain_text("40 traces")


def test_a_stretch_of_the_chart_is_dragged_over_or_chosen_with_the_keyboard(page: Page) -> None:
    page.goto("/console/exceptions/?q=org:org_red")
    bars = page.locator(".histogram a")
    count = bars.count()
    first, last = bars.nth(count - 6), bars.nth(count - 2)
    (start, _), (_, end) = edges(first), edges(last)
    here, there = first.bounding_box(), last.bounding_box()
    assert here and there
    page.mouse.move(here["x"] + here["width"] / 2, here["y"] + 30)
    page.mouse.down()
    page.mouse.move(there["x"] + there["width"] / 2, there["y"] + 30, steps=12)
    page.mouse.up()
    expect(page).to_have_url(re.compile("before"))
    assert query_of(page) == f"org:org_red after:{start} before:{end}"

    page.goto("/console/exceptions/?q=org:org_red")
    chart = page.locator(".histogram [data-brush]")
    chart.focus()
    page.keyboard.press("ArrowLeft")
    for _ in range(2):
        page.keyboard.press("Shift+ArrowLeft")
    expect(page.locator("[data-brushed]")).not_to_be_empty()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("before"))
    assert query_of(page).startswith("org:org_red after:")
    expect(page.locator(".term")).to_have_count(3)


def test_a_bar_is_a_door_to_its_minutes_and_the_way_out_is_a_click(page: Page) -> None:
    page.goto("/console/exceptions/")
    page.locator(".histogram a").first.click()
    expect(page).to_have_url(re.compile("before"))
    assert re.fullmatch(r"after:[\d-]+T\d\d:\d\dZ before:[\d-]+T\d\d:\d\dZ", query_of(page))
    page.get_by_role("navigation", name="Time range").get_by_role("link", name="all").click()
    expect(page).to_have_url(re.compile("/console/exceptions/$"))


def test_back_from_a_trace_the_next_row_is_one_key_away(page: Page) -> None:
    page.goto("/console/exceptions/?q=invoice")
    doors = page.locator("#results [data-open]:visible")
    doors.nth(3).focus()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/trace"))
    page.keyboard.press("Escape")
    expect(page).to_have_url(re.compile(r"/exceptions/\?q=invoice"))
    expect(doors.nth(3)).to_be_focused()
    page.keyboard.press("j")
    expect(doors.nth(4)).to_be_focused()


def test_a_facet_that_is_clicked_keeps_the_focus_and_what_changed_is_in_view(page: Page) -> None:
    page.set_viewport_size({"width": 1440, "height": 500})
    page.goto("/console/exceptions/?q=invoice")
    path = page.locator("aside a[title='/runs/3']").first
    path.scroll_into_view_if_needed()
    path.click()
    expect(page.locator(".summary")).to_contain_text("12 traces")
    assert page.evaluate("document.querySelector('#results').getBoundingClientRect().top >= 0")
    expect(page.locator(":focus")).to_have_attribute("aria-label", re.compile("^/runs/3, chosen"))


def test_on_a_phone_filters_are_a_sheet_over_the_list(open_as: OpenAs) -> None:
    page = open_as("alice", viewport={"width": 390, "height": 844})
    page.goto("/console/exceptions/?q=invoice")
    first = page.locator("#results [data-open]:visible").first
    before = first.bounding_box()
    sheet = page.locator(".facets")
    sheet.locator("summary").click()
    box = sheet.bounding_box()
    assert box and box["y"] > 100 and box["y"] + box["height"] == 844
    assert first.bounding_box() == before
    sheet.get_by_role("link", name=re.compile("^org_green")).click()
    expect(page.locator(".summary")).to_contain_text("40 traces")
    expect(sheet).not_to_have_attribute("open", "")
    assert page.evaluate("scrollY") < 200
    page.get_by_role("button", name="By field…").click()
    expect(page.get_by_role("dialog", name="Search by field")).to_be_visible()


def test_all_values_of_a_facet_unfold_in_place(page: Page) -> None:
    page.goto("/console/exceptions/")
    more = page.get_by_role("link", name="more of Path")
    more.focus()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("values=path"))
    fewer = page.get_by_role("link", name="Fewer of Path")
    expect(fewer).to_be_focused()
    fewer.click()
    expect(more).to_be_focused()

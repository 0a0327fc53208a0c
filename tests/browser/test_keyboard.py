"""Everything by keyboard: find, move, open, tick, and get help."""

import re

import pytest
from playwright.sync_api import Page, expect


@pytest.fixture
def listed(page: Page) -> Page:
    page.goto("/console/exceptions/?q=org%3Aorg_red")
    expect(page.locator("#results [data-row]")).to_have_count(40)
    return page


def has_visible_focus(page: Page) -> bool:
    """Whether what has focus, or the row or box around it, is drawn as such."""
    return bool(
        page.evaluate("""() => {
          const here = document.activeElement;
          const drawn = (element) => {
            const style = getComputedStyle(element);
            return (style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0) || style.boxShadow !== "none";
          };
          const around = [here, here.closest("[data-row]"), here.closest("form")];
          return here !== document.body && around.some((element) => element && drawn(element));
        }""")
    )


def test_slash_focuses_the_search_and_escape_leaves_it(listed: Page) -> None:
    box = listed.get_by_role("combobox", name="Search the traces")
    listed.keyboard.press("/")
    expect(box).to_be_focused()
    assert has_visible_focus(listed)
    listed.keyboard.press("End")
    listed.keyboard.type(" j")
    expect(box).to_have_value("org:org_red j")
    listed.keyboard.press("Escape")
    expect(box).not_to_be_focused()


def test_j_and_k_move_x_ticks_and_enter_opens(listed: Page) -> None:
    doors = listed.locator("#results [data-open]")
    listed.keyboard.press("j")
    expect(doors.nth(0)).to_be_focused()
    listed.keyboard.press("j")
    expect(doors.nth(1)).to_be_focused()
    assert has_visible_focus(listed)
    listed.keyboard.press("k")
    expect(doors.nth(0)).to_be_focused()
    listed.keyboard.press("x")
    expect(listed.get_by_text("1 selected")).to_be_visible()
    expect(listed.locator("#results input[name=key]").nth(0)).to_be_checked()
    listed.keyboard.press("Escape")
    expect(listed.locator("#results input[name=key]:checked")).to_have_count(0)
    expect(doors.nth(0)).to_be_focused()
    listed.keyboard.press("Enter")
    expect(listed).to_have_url(re.compile("/console/exceptions/trace"))
    listed.wait_for_load_state()
    listed.keyboard.press("Escape")
    expect(listed).to_have_url(re.compile(r"/console/exceptions/\?q=org%3Aorg_red$"))


def test_the_question_mark_opens_the_help_and_escape_closes_it(listed: Page) -> None:
    help_dialog = listed.get_by_role("dialog", name="Keys")
    listed.keyboard.press("?")
    expect(help_dialog).to_be_visible()
    listed.keyboard.press("Escape")
    expect(help_dialog).to_be_hidden()
    listed.keyboard.press("?")
    help_dialog.get_by_role("checkbox", name=re.compile("Keys of one letter")).uncheck()
    listed.keyboard.press("Escape")
    listed.keyboard.press("j")
    expect(listed.locator("#results [data-open]:focus")).to_have_count(0)


def test_g_and_a_letter_go_to_a_page(listed: Page) -> None:
    for letter, path in (
        ("a", "/console/audit/"),
        ("s", "/console/system/"),
        ("h", "/console/"),
        ("e", "/console/exceptions/"),
    ):
        listed.keyboard.press("g")
        listed.keyboard.press(letter)
        expect(listed).to_have_url(re.compile(f"{path}$"))
        listed.wait_for_load_state()


def test_tab_reaches_every_control_and_shows_where_it_is(listed: Page) -> None:
    listed.keyboard.press("Tab")
    expect(listed.get_by_role("link", name="Skip to the content")).to_be_focused()
    for _ in range(25):
        assert has_visible_focus(listed), listed.evaluate("document.activeElement.outerHTML.slice(0, 200)")
        listed.keyboard.press("Tab")

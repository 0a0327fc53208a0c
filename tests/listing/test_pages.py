"""One search page for every list: box, terms, ranges, chart, facets, pages, for traces and audit entries alike."""

import html
import re

import pytest
from django.urls import reverse

from dagy_console.audit.actions import Action
from dagy_console.audit.recorder import record
from dagy_console.core.actors import SYSTEM

HTMX = {"HX-Request": "true"}


@pytest.fixture
def entries(as_actor, alice):
    for index in range(60):
        record(
            Action.MEMBER_ADDED if index % 3 else Action.ORGANIZATION_CREATED,
            actor=as_actor(alice) if index % 2 else SYSTEM,
            resource_type="organization",
            resource_id=f"org_{index}",
            resource_name=f"Customer {index}",
            org_id="org_blue" if index % 5 else "org_red",
            reason="asked for by phone" if index == 7 else "",
        )


@pytest.fixture(params=["exceptions:list", "audit:list"])
def page(request, browse, alice, bucket, indexed, entries):
    bucket.put()
    indexed()
    browser = browse(alice)
    return lambda q="", headers=None, **more: browser.get(reverse(request.param), {"q": q} | more, headers=headers)


def test_a_list_has_box_ranges_chart_and_facets(page):
    text = page().content.decode()
    assert 'role="search"' in text and 'class="histogram"' in text and "By field…" in text
    assert 'aria-label="Time range"' in text and 'class="facets"' in text


def test_a_search_that_cannot_be_read_is_a_422_that_shows_where(page):
    response = page("org:")
    assert response.status_code == 422
    assert "needs a value" in response.content.decode() and 'class="caret"' in response.content.decode()


def test_htmx_gets_the_results_alone(page):
    whole, part = page().content.decode(), page(headers=HTMX).content.decode()
    assert "<html" in whole and "<html" not in part
    part = part.partition("</title>")[2]
    assert part.strip().startswith('<section id="results"') and _without_what_changes(part) in _without_what_changes(
        whole
    )


def _without_what_changes(page: str) -> str:
    """Without tokens, cursors (signed with the second they were made in) and ages, which differ between two answers."""
    differs = r'name="csrfmiddlewaretoken" value="\w+"|(cursor|poll)=[^"]+|>\s*(just now|\d+ (s|min))\s*<'
    return re.sub(differs, "", page.strip())


def test_a_search_that_finds_nothing_offers_to_leave_terms_out(page):
    text = page("org:org_nowhere request:none").content.decode()
    assert "Leave one out" in text and "without" in text


def test_single_fields_are_folded_into_the_address(page):
    response = page("-org:org_red", org="org_blue", before="-1s")
    assert response.status_code == 302
    assert response["Location"].endswith("?q=-org%3Aorg_red+org%3Aorg_blue+before%3A-1s")


def test_a_facet_is_shown_whole_where_it_is_asked_for(browse, alice, bucket, indexed):
    for number in range(13):
        bucket.put(http_path=f"/path-{number:02}")
    indexed()
    browser, url = browse(alice), reverse("exceptions:list")
    top = browser.get(url, {"q": "org:org_blue"}).content.decode()
    assert top.count('title="/path-') == 10 and 'aria-label="3 more of Path"' in top
    door = re.search(r'href="([^"]+)#facet-path"', top)
    whole = browser.get(html.unescape(door[1])).content.decode()
    assert whole.count('title="/path-') == 13 and "more of Path" not in whole
    assert 'aria-label="Fewer of Path"' in whole and 'value="org:org_blue"' in whole

"""The box offers keys, then the values that are most frequent, of what its reader may see."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from dagy_console.exceptions.models import Trace, TraceGroup
from dagy_console.exceptions.search import GROUPS, TRACES
from dagy_console.listing.completing import completions
from dagy_console.listing.rollups import roll_up
from dagy_console.runs.search import RUNS
from dagy_console.runs.selectors import runs_visible_to
from tests.runs.support import a_run


@pytest.fixture
def some(bucket, indexed):
    for number in range(4):
        at = timezone.now() - timedelta(days=2, minutes=number)
        bucket.put("org_blue", at=at, exception_type="KeyError" if number else "ValueError", traceback="")
    indexed()


def offered(listing, rows, text):
    return [(one.text, one.label) for one in completions(listing, rows, text)]


def test_a_term_that_begins_is_completed_to_a_key_and_the_rest_stays(some):
    rows = Trace.objects.all()
    assert offered(TRACES, rows, "org:org_blue ty") == [("org:org_blue type:", "Type")]
    assert offered(TRACES, rows, "-fun") == [("-function:", "Function")]
    assert len(offered(TRACES, rows, "")) == 8
    assert offered(TRACES, rows, "so") == []
    assert offered(GROUPS, TraceGroup.objects.all(), "so") == [("sort:", "Order")]


def test_a_key_is_completed_by_its_most_frequent_values_counted_or_live(some):
    rows = Trace.objects.all()
    expected = [("x type:KeyError", "3"), ("x type:ValueError", "1")]
    assert offered(TRACES, rows, "x type:") == []  # no day is counted yet
    assert offered(TRACES, rows.filter(org_id="org_blue"), "x type:") == expected
    assert roll_up()
    assert offered(TRACES, rows, "x type:") == expected
    assert offered(TRACES, rows, "x -type:Val") == [("x -type:ValueError", "1")]
    assert offered(TRACES, rows, "type:%") == offered(TRACES, rows, "type:_") == []


def test_groups_are_offered_by_their_titles_and_known_values_by_themselves(some):
    roll_up()
    rows = Trace.objects.all()
    labels = [label for _, label in offered(TRACES, rows, "group:")]
    assert labels == ["KeyError · Invalid flow spec · 3", "ValueError · Invalid flow spec · 1"]
    assert offered(TRACES, rows, "status:") == [("status:open", ""), ("status:resolved", ""), ("status:ignored", "")]
    assert ("after:-24h", "a day ago") in offered(TRACES, rows, "after:-")
    assert offered(TRACES, rows, "request:a") == offered(TRACES, rows, "nosuch:a") == offered(TRACES, rows, '"a') == []


def test_nobody_is_offered_what_they_may_not_see(as_actor, bob, charlie):
    a_run("org_blue", name="nightly")
    a_run("org_red", name="secret")
    assert offered(RUNS, runs_visible_to(as_actor(bob)), "flow:") == [("flow:nightly", "1")]


def test_the_page_answers_with_options_and_whatever_is_typed_is_no_error(some, browse, alice):
    client = browse(alice)
    page = client.get(reverse("exceptions:list"), {"complete": "1", "q": "ty"})
    assert page.content.decode().strip() == '<option value="type:">Type</option>'
    for typed in ("type:\x00", "a" * 5_000, 'org:"x', "::", "-", "after:x*", "type:*"):
        assert client.get(reverse("exceptions:list"), {"complete": "1", "q": typed}).status_code == 200, typed

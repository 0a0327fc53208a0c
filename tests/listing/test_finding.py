"""Few matches among many rows are looked up, and what can't be looked up says what to add."""

import random
from typing import Any

import pytest
from django.db import connection

from dagy_console.exceptions.index.indexing import put_traces
from dagy_console.exceptions.models import Trace
from dagy_console.exceptions.search import TRACES
from dagy_console.listing import finding
from dagy_console.listing.finding import TooBroad, find
from tests.traces import some_traces


@pytest.fixture
def slow(db: None, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Rows of which each takes 5 ms to look at; walking them is given up after 10."""
    put_traces(some_traces(20, random.Random(1)))
    monkeypatch.setattr(finding, "WALK_SECONDS", 0.01)
    return Trace.objects.extra(where=["pg_sleep(0.005) IS NOT NULL"])


def test_what_walking_does_not_find_soon_is_looked_up(slow: Any) -> None:
    found = find(slow, TRACES.parse("org:org_1"))
    assert [row.key for row in found.rows] == [
        row.key for row in find(Trace.objects.all(), TRACES.parse("org:org_1")).rows
    ]
    with connection.cursor() as cursor:
        cursor.execute("SHOW enable_indexscan")
        assert cursor.fetchone() == ("on",)


def test_two_letters_that_are_rare_say_at_once_what_to_add(slow: Any) -> None:
    with pytest.raises(TooBroad, match="write three or more"):
        find(slow, TRACES.parse("zq"))
    assert find(slow, TRACES.parse("wo org:org_1")).rows  # the organization says where to look


def test_what_takes_too_long_either_way_says_so(slow: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finding, "LIST_SECONDS", 0.02)
    with pytest.raises(TooBroad, match="add a time"):
        find(slow, TRACES.query())

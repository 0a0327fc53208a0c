"""Wildcards are told apart as PostgreSQL does, and no pattern takes long to match."""

import time

import pytest
from django.db import connection

from dagy_console.listing.language import Term, _like
from dagy_console.listing.values import selected

VALUES = [
    "",
    "/runs",
    "/runs/1",
    "/RUNS",
    "a\nb",
    "a?c",
    "abc",
    "[x]",
    "x",
    "100%",
    "a_b",
    "a\\b",
    "é",
    "*",
    "[!x]",
    "-",
]


@pytest.mark.parametrize(
    "pattern", ["*", "/runs*", "*runs", "a?c", "a*b", "[x]*", "*[!x]", "10*%", "a_*", "a\\*", "**", "*é*"]
)
def test_a_wildcard_matches_what_the_database_says(db: None, pattern: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT v FROM unnest(%s::text[]) AS v WHERE v LIKE %s", [VALUES, _like(pattern)])
        expected = sorted(value for (value,) in cursor.fetchall())
    assert sorted(selected([Term("path", pattern)], VALUES)) == expected
    left = selected([Term("path", pattern, negated=True)], VALUES)
    assert sorted([*left, *expected]) == sorted(VALUES)


def test_no_pattern_makes_the_console_think_for_long() -> None:
    began = time.monotonic()
    assert selected([Term("path", "*a" * 40 + "*b")], ["a" * 1_000] * 100) == []
    assert time.monotonic() - began < 1

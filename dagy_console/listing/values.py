"""Which values of a facet a search asks for. A facet has few values and many rows: wildcards and negations are told
apart by the values, and rows are then looked up by equality."""

import fnmatch
import re
from collections.abc import Iterable, Sequence

from django.db import connection

from dagy_console.core.database import TookTooLong, time_limit
from dagy_console.listing.language import SORT, TEXT, TIMES, Listing, Query, Term

# Of one column; with more, nothing is gained.
MOST_VALUES, SECONDS = 2_000, 0.1


def facet_terms(query: Query) -> dict[str, list[Term]]:
    """Column -> the terms that are about it, of facets that are compared whole."""
    found: dict[str, list[Term]] = {}
    for term in query.terms:
        if is_of_facet(query.listing, term):
            found.setdefault(query.listing.key(term.key).column, []).append(term)
    return found


def is_of_facet(listing: Listing, term: Term) -> bool:
    if term.key in (*TIMES, TEXT, SORT):
        return False
    key = listing.key(term.key)
    return key.facet and key.condition is None


def selected(terms: Sequence[Term], values: Iterable[str]) -> list[str]:
    """The values that all these terms of one key leave: as the language has it, one of those asked for, and none of
    those that are negated."""
    wanted = [_pattern(term.value) for term in terms if not term.negated]
    refused = [_pattern(term.value) for term in terms if term.negated]
    return [
        value
        for value in values
        if (not wanted or any(pattern.fullmatch(value) for pattern in wanted))
        and not any(pattern.fullmatch(value) for pattern in refused)
    ]


def _pattern(value: str) -> re.Pattern[str]:
    """In which only `*` is a wildcard. fnmatch's patterns do not go back: `*a*a*a*b` takes no longer than it is."""
    return re.compile(fnmatch.translate(re.sub(r"[?[]", r"[\g<0>]", value)))


def values_of(table: str, column: str) -> list[str] | None:
    """All the values that the column has, read off its index from one to the next; None where there are too many."""
    try:
        with time_limit(SECONDS), connection.cursor() as cursor:
            cursor.execute(_VALUES.format(table=table, column=column), [MOST_VALUES + 1])
            found = [value for (value,) in cursor.fetchall()]
    except TookTooLong:
        return None
    return found if len(found) <= MOST_VALUES else None


_VALUES = """
WITH RECURSIVE found (value) AS (
    (SELECT {column} FROM {table} WHERE {column} IS NOT NULL ORDER BY {column} LIMIT 1)
    UNION ALL
    SELECT (SELECT {column} FROM {table} WHERE {column} > found.value ORDER BY {column} LIMIT 1)
    FROM found WHERE found.value IS NOT NULL
)
SELECT value FROM found WHERE value IS NOT NULL LIMIT %s
"""

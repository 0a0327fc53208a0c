"""Rows of a list: a page of what matches, its neighbours, how many there are. Nobody waits longer than is useful."""

from contextlib import suppress
from typing import TypeVar

from django.db.models import Model, QuerySet

from dagy_console.core.database import TookTooLong, time_limit, without_walking
from dagy_console.core.errors import Invalid
from dagy_console.listing.language import TEXT, Query
from dagy_console.listing.pages import DEFAULT_LIMIT, Page

ModelT = TypeVar("ModelT", bound=Model)
# What a reader may wait for a list, and for what merely stands beside something else.
LIST_SECONDS = 5
WALK_SECONDS = 0.2
ASIDE_SECONDS = 1


class TooBroad(Invalid):
    title = "The search is too broad"

    def __init__(
        self, advice: str = "This search took too long: add a time (after:-24h), an organization, or a longer word."
    ) -> None:
        super().__init__(advice)


def find(rows: QuerySet[ModelT], query: Query, *, limit: int = DEFAULT_LIMIT, cursor: str = "") -> Page[ModelT]:
    """The matches among `rows`, newest first. Raises TooBroad, Invalid for a broken cursor.

    Many matches are found soon by walking the list in its order. Where that takes longer there are few: they are looked
    up by what they have, and sorted.
    """
    keyset, matching = query.listing.keyset, rows.filter(query.as_q())
    with suppress(TookTooLong), time_limit(WALK_SECONDS):
        return keyset.page(matching, limit=limit, cursor=cursor)
    if _has_only_short_words(query):
        raise TooBroad("Two letters can't be looked up: write three or more, or add a time (after:-24h).")
    try:
        with time_limit(LIST_SECONDS), without_walking():
            return keyset.page(matching, limit=limit, cursor=cursor)
    except TookTooLong:
        raise TooBroad from None


def _has_only_short_words(query: Query) -> bool:
    """An index of three letters each knows none of them, and nothing else says where to look."""
    wanted = [term for term in query.terms if not term.negated]
    return bool(wanted) and all(term.key == TEXT and len(term.value) < 3 for term in wanted)


def neighbours(rows: QuerySet[ModelT], query: Query, row: ModelT) -> tuple[ModelT | None, ModelT | None]:
    """The next newer and the next older match; none where finding them takes too long."""
    matching, keyset = rows.filter(query.as_q()), query.listing.keyset
    try:
        with time_limit(ASIDE_SECONDS):
            return keyset.above(matching, row).first(), keyset.below(matching, row).first()
    except TookTooLong:
        return None, None


def count_up_to(rows: QuerySet[ModelT], query: Query, most: int) -> int:
    """How many match, counted to `most` and no further."""
    return rows.filter(query.as_q()).order_by()[:most].count()

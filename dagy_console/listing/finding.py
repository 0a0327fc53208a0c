"""Rows of a list: a page of what matches, its neighbours, how many there are. Nobody waits longer than is useful."""

from contextlib import AbstractContextManager, nullcontext, suppress
from typing import TypeVar

from django.db.models import Model, Q, QuerySet

from dagy_console.core.database import TookTooLong, only_walking, time_limit, without_walking
from dagy_console.core.errors import Invalid
from dagy_console.listing.language import SORT, TEXT, Query, Term
from dagy_console.listing.pages import DEFAULT_LIMIT, Page
from dagy_console.listing.values import facet_terms, selected, values_of

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
    keyset, matching = query.keyset, rows.filter(looked_up(rows, query))
    with suppress(TookTooLong), time_limit(WALK_SECONDS), planned(query):
        return keyset.page(matching, limit=limit, cursor=cursor)
    if _has_only_short_words(query):
        raise TooBroad("Two letters can't be looked up: write three or more, or add a time (after:-24h).")
    try:
        with time_limit(LIST_SECONDS), without_walking():
            return keyset.page(matching, limit=limit, cursor=cursor)
    except TookTooLong:
        raise TooBroad from None


def planned(query: Query) -> AbstractContextManager[None]:
    """In a transaction with a time limit: what is asked about the query keeps to it."""
    return only_walking() if _has_only_short_words(query) else nullcontext()


def _has_only_short_words(query: Query) -> bool:
    """An index of three letters each knows none of them, and nothing else says where to look."""
    wanted = [term for term in query.terms if not term.negated and term.key != SORT]
    return bool(wanted) and all(term.key == TEXT and len(term.value) < 3 for term in wanted)


def looked_up(rows: QuerySet[ModelT], query: Query) -> Q:
    """The query's condition, and beside wildcards and negations of a facet the values that they leave of it."""
    condition = query.as_q()
    for column, terms in facet_terms(query).items():
        if _is_told_by_values(rows, query, column, terms) and (values := values_of(query.listing.source, column)):
            condition &= Q(**{f"{column}__in": selected(terms, values)})
    return condition


def _is_told_by_values(rows: QuerySet[ModelT], query: Query, column: str, terms: list[Term]) -> bool:
    field = next((field for field in rows.model._meta.concrete_fields if field.column == column), None)
    if not query.listing.source or field is None or not any(term.negated or "*" in term.value for term in terms):
        return False
    # A row without a value is left by negations, too.
    return not (field.null and all(term.negated for term in terms))


def neighbours(rows: QuerySet[ModelT], query: Query, row: ModelT) -> tuple[ModelT | None, ModelT | None]:
    """The next newer and the next older match; none where finding them takes too long."""
    matching, keyset = rows.filter(query.as_q()), query.listing.keyset
    try:
        with time_limit(ASIDE_SECONDS):
            return keyset.above(matching, row).first(), keyset.below(matching, row).first()
    except TookTooLong:
        return None, None


def count_newer(rows: QuerySet[ModelT], query: Query, cursor: str, most: int) -> int:
    """How many matches there are above the row of the cursor ("": in all), counted to `most` and no further, and as far
    as it takes no time. Raises Invalid for a broken cursor."""
    matching = rows.filter(looked_up(rows, query))
    newer = query.keyset.newer(matching, cursor) if cursor else matching
    try:
        with time_limit(ASIDE_SECONDS):
            return newer.order_by()[:most].count()
    except TookTooLong:
        return 0


def count_up_to(rows: QuerySet[ModelT], query: Query, most: int) -> int:
    """How many match, counted to `most` and no further."""
    return rows.filter(query.as_q()).order_by()[:most].count()

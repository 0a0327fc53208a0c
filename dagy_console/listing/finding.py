"""Rows of a list: a page of what matches, its neighbours, how many there are. Nobody waits longer than is useful."""

from typing import TypeVar

from django.db.models import Model, QuerySet

from dagy_console.core.database import TookTooLong, time_limit
from dagy_console.core.errors import Invalid
from dagy_console.listing.language import Query
from dagy_console.listing.pages import DEFAULT_LIMIT, Page

ModelT = TypeVar("ModelT", bound=Model)
# What a reader may wait for a list, and for what merely stands beside something else.
LIST_SECONDS = 5
ASIDE_SECONDS = 1


class TooBroad(Invalid):
    title = "The search is too broad"

    def __init__(self) -> None:
        super().__init__("This search took too long: add a time (after:-24h), an organization, or a longer word.")


def find(rows: QuerySet[ModelT], query: Query, *, limit: int = DEFAULT_LIMIT, cursor: str = "") -> Page[ModelT]:
    """The matches among `rows`, newest first. Raises TooBroad, Invalid for a broken cursor."""
    try:
        with time_limit(LIST_SECONDS):
            return query.listing.keyset.page(rows.filter(query.as_q()), limit=limit, cursor=cursor)
    except TookTooLong:
        raise TooBroad from None


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

"""What every list of the JSON API takes and answers: `q`, single fields, `from`, `to`, `limit`, `cursor`."""

from collections.abc import Callable, Mapping
from typing import Any

from django.db.models import QuerySet
from ninja import Field

from dagy_console.core.api import QueryParams, Text
from dagy_console.core.errors import Invalid
from dagy_console.listing.finding import find
from dagy_console.listing.language import MAX_LENGTH, BadQuery, Listing, Query
from dagy_console.listing.pages import DEFAULT_LIMIT, MAX_LIMIT


class PageParams(QueryParams):
    limit: int = Field(DEFAULT_LIMIT, ge=1, le=MAX_LIMIT, description="Rows a page, 1 to 200.")
    cursor: str = Field("", max_length=1000, description="`next_cursor` of the page before; empty: the newest.")


class SearchParams(QueryParams):
    """An endpoint adds the parameters that its list's keys declare."""

    q: Text = Field("", max_length=MAX_LENGTH, description='The search language: `key:value -key:other* "free text"`.')
    since: Text = Field("", alias="from", description="Absolute (RFC 3339) or relative (-15m, -24h, -7d); inclusive.")
    until: Text = Field("", alias="to", description="Like `from`; exclusive.")


class ListParams(SearchParams, PageParams):
    pass


def query_of(listing: Listing, params: SearchParams) -> Query:
    """The search that the parameters say. Raises Invalid that names the parameter, and for `q` the position."""
    given = params.model_dump(by_alias=True)
    fields = {name: given[name] for name in listing.parameters if given.get(name)}
    try:
        listing.parse(params.q)
    except BadQuery as error:
        raise Invalid.field("q", f"{error.message} (at character {error.position + 1})") from None
    for name, value in fields.items():
        try:
            listing.narrowed("", {listing.parameters[name]: value})
        except BadQuery as error:
            raise Invalid.field(name, error.message) from None
    return listing.narrowed(params.q, {listing.parameters[name]: value for name, value in fields.items()})


def list_page(
    listing: Listing, params: ListParams, rows: QuerySet[Any], *, out: Callable[[Any], Mapping[str, Any]]
) -> dict[str, Any]:
    """`{"items", "next_cursor"}` of what the parameters ask for among `rows`."""
    page = find(rows, query_of(listing, params), limit=params.limit, cursor=params.cursor)
    return {"items": [out(row) for row in page.rows], "next_cursor": page.next_cursor}

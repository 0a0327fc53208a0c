"""What every list of the JSON API takes and answers: `q`, single fields, `from`, `to`, `limit`, `cursor`."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from django.db.models import QuerySet
from ninja import Field, Schema

from dagy_console.core.api import QueryParams, Text
from dagy_console.core.errors import Invalid
from dagy_console.core.times import to_rfc3339
from dagy_console.listing.finding import find
from dagy_console.listing.language import MAX_LENGTH, SORT, BadQuery, Listing, Query
from dagy_console.listing.pages import DEFAULT_LIMIT, MAX_LIMIT
from dagy_console.listing.summary import summarize


class PageParams(QueryParams):
    limit: int = Field(DEFAULT_LIMIT, ge=1, le=MAX_LIMIT, description="Rows a page, 1 to 200.")
    cursor: str = Field("", max_length=1000, description="`next_cursor` of the page before; empty: the newest.")


class SearchParams(QueryParams):
    """`class TraceParams(SearchParams, listing=TRACES)` has the parameters that the list's keys declare, too."""

    def __init_subclass__(cls, *, listing: Listing | None = None, **options: Any) -> None:
        super().__init_subclass__(**options)
        declared = [key for key in listing.keys if key.parameter] if listing else []
        cls.__annotations__ = inspect.get_annotations(cls) | {key.parameter: Text for key in declared}
        if listing and listing.sorts:
            cls.__annotations__ |= {SORT: Text}
            setattr(cls, SORT, Field("", description=f"One of {', '.join(listing.sorts)}; the first is the usual."))
        for key in declared:
            setattr(cls, key.parameter, Field("", description=f"{key.heading}; `*` is a wildcard."))

    q: Text = Field("", max_length=MAX_LENGTH, description='The search language: `key:value -key:other* "free text"`.')
    since: Text = Field("", alias="from", description="Absolute (RFC 3339) or relative (-15m, -24h, -7d); inclusive.")
    until: Text = Field("", alias="to", description="Like `from`; exclusive.")


class ListParams(SearchParams, PageParams):
    """A search, page by page."""


def parsed(listing: Listing, q: str) -> Query:
    """The search that `q` says. Raises Invalid with the position of what is wrong."""
    try:
        return listing.parse(q)
    except BadQuery as error:
        raise Invalid.field("q", f"{error.message} (at character {error.position + 1})") from None


def query_of(listing: Listing, params: SearchParams) -> Query:
    """The search that the parameters say. Raises Invalid that names the parameter, and for `q` the position."""
    given = params.model_dump(by_alias=True)
    fields = {name: given[name] for name in listing.parameters if given.get(name)}
    parsed(listing, params.q)
    for name, value in fields.items():
        try:
            listing.narrowed("", {listing.parameters[name]: value})
        except BadQuery as error:
            raise Invalid.field(name, error.message) from None
    return listing.narrowed(params.q, {listing.parameters[name]: value for name, value in fields.items()})


class FacetOut(Schema):
    value: str
    count: int


class BucketOut(Schema):
    start: str
    end: str
    count: int


class SummaryOut(Schema):
    """`total_is_exact` is false where counting took too long: there are at least so many then, or `total` is null. The
    facets are those of the newest `facets_of_newest`, of all where that is null."""

    total: int | None
    total_is_exact: bool
    facets_of_newest: int | None
    facets: dict[str, list[FacetOut]]
    histogram: list[BucketOut]


def summary_out(listing: Listing, params: SearchParams, rows: QuerySet[Any]) -> dict[str, Any]:
    """The counts, facets and histogram of what the parameters ask for among `rows`."""
    summary = summarize(rows, query_of(listing, params))
    return {
        "total": summary.at_least if summary.total is None else summary.total,
        "total_is_exact": summary.total is not None,
        "facets_of_newest": summary.of_newest,
        "facets": {
            facet.key: [{"value": value, "count": count} for value, count in facet.values] for facet in summary.facets
        },
        "histogram": [
            {"start": to_rfc3339(bucket.start), "end": to_rfc3339(bucket.end), "count": bucket.count}
            for bucket in summary.buckets
        ],
    }


def list_page(
    listing: Listing, params: ListParams, rows: QuerySet[Any], *, out: Callable[[Any], Mapping[str, Any]]
) -> dict[str, Any]:
    """`{"items", "next_cursor"}` of what the parameters ask for among `rows`."""
    page = find(rows, query_of(listing, params), limit=params.limit, cursor=params.cursor)
    return {"items": [out(row) for row in page.rows], "next_cursor": page.next_cursor}

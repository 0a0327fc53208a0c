"""The search page of a list: one context and one set of answers for every app (templates/listing/page.html)."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render

from dagy_console.core.http import POLL, ConsoleRequest
from dagy_console.core.words import number
from dagy_console.listing.completing import completions
from dagy_console.listing.finding import TooBroad, count_newer, find
from dagy_console.listing.language import BadQuery, Listing, Query
from dagy_console.listing.pages import Page
from dagy_console.listing.presenting import WHOLE, field_names, fields, ranges, sorts, summary_context, terms
from dagy_console.listing.summary import Summary, summarize

# Makes of a search the address at which a rule of it is made, "" where there is none for this reader.
Watch = Callable[[ConsoleRequest, Query], str]
_watch: list[Watch] = []
# A parameter of the box, that asks what may come next.
COMPLETE = "complete"
# Above this nobody counts.
MOST_NEW = 99


def register_watch(address: Watch) -> None:
    """What can be searched for can be watched: each list leads there."""
    _watch.append(address)


def search_page(
    request: ConsoleRequest,
    listing: Listing,
    template: str,
    rows: QuerySet[Any],
    *,
    row: Callable[[Any, Query], Mapping[str, Any]],
    context: Mapping[str, Any] | None = None,
    draw: Callable[[QuerySet[Any]], QuerySet[Any]] = lambda rows: rows,
    beside: Callable[[Sequence[Any]], Iterable[Mapping[str, Any]]] | None = None,
) -> HttpResponse:
    """The page of what the address asks for among `rows`, which hold what the reader may see.

    `template` extends listing/page.html; `row` makes of each row what it draws; `context` is its own. `draw` adds to
    the rows of the page what only drawing needs, so that counting them all does without it; `beside` says of them
    together what is better not asked for one by one. The form of single fields
    is folded into `q`, so that the address says it all. A search that cannot be read is answered with
    422, and where it is wrong. A list that is open asks now and then what is new (`POLL`, above its first row).
    """
    if COMPLETE in request.GET:
        offered = completions(listing, rows, request.GET.get("q", ""))
        return render(request, "listing/_completions.html", {"completions": offered})
    given = {name: request.GET[name] for name in field_names(listing) if request.GET.get(name)}
    more = dict(context or {})
    try:
        query = listing.narrowed(request.GET.get("q", ""), given)
    except BadQuery as error:
        said = {"title": "The search could not be read", "message": error.message}
        return _refused(request, listing, template, more, said | {"position": error.position, "text": error.text})
    if given:
        return HttpResponseRedirect(query.url)
    if POLL in request.GET:
        news = _news(query, request.GET[POLL], count_newer(rows, query, request.GET[POLL], MOST_NEW + 1))
        return render(request, template, more | {"layout": "listing/_news.html", "news": news, "listing": listing})
    try:
        found = find(draw(rows), query, cursor=request.GET.get("cursor", ""))
    except TooBroad as error:
        return _refused(request, listing, template, more, {"title": error.title, "message": error.detail})
    drawn = [row(item, query) for item in found.rows]
    more_of_each = beside(found.rows) if beside else [{}] * len(drawn)
    page = page_context(request, found, ({**one, **besides} for one, besides in zip(drawn, more_of_each, strict=True)))
    whole = request.GET.get(WHOLE, "")
    summary = summary_context(query, summarize(rows, query, whole=whole), whole=whole)
    more |= _search(query) | {"page": page, "summary": summary}
    more["watch_url"] = next((url for url in (watch(request, query) for watch in _watch) if url), "")
    if found.is_first and query.sort == listing.query().sort:
        more["news"] = _news(query, query.keyset.cursor_of(found.rows[0]) if found.rows else "", 0)
    return _drawn(request, template, more)


def _news(query: Query, top: str, count: int) -> dict[str, Any]:
    """What there is above the first row that is shown, and where to ask for it again."""
    return {
        "poll_url": query.url_with(**{POLL: top}),
        "url": query.url,
        "count": count,
        "text": f"{MOST_NEW}+" if count > MOST_NEW else number(count),
    }


def _refused(
    request: HttpRequest, listing: Listing, template: str, context: dict[str, Any], error: dict[str, Any]
) -> HttpResponse:
    search = _search(listing.query()) | {
        "query": {"text": request.GET.get("q", ""), "terms": []},
        "query_error": error,
        "page": page_context(request, Page([]), []),
        "summary": summary_context(listing.query(), Summary(total=None)),
    }
    return _drawn(request, template, context | search, status=422)


def _search(query: Query) -> dict[str, Any]:
    listing = query.listing
    return {
        "listing": listing,
        "list_url": listing.query().url,
        "query": {"text": query.text, "terms": terms(query)},
        "query_error": None,
        "form": fields(query),
        "ranges": ranges(query),
        "sorts": sorts(query),
    }


def _drawn(request: HttpRequest, template: str, context: dict[str, Any], *, status: int = 200) -> HttpResponse:
    """Whole, or the results alone where htmx asks for them. `Back` asks for the whole page again."""
    htmx = getattr(request, "htmx", None)
    part = htmx and not htmx.history_restore_request
    context["layout"] = "listing/_part.html" if part else "_base.html"
    return render(request, template, context, status=status)


def page_context(request: HttpRequest, page: Page[Any], rows: Iterable[Any]) -> dict[str, Any]:
    """A page of a list as the templates take it: rows, and links that keep the rest of the URL."""
    return {
        "rows": list(rows),
        "next_url": _with_cursor(request, page.next_cursor) if page.next_cursor else None,
        "first_url": None if page.is_first else _with_cursor(request, None),
        "is_first": page.is_first,
    }


def _with_cursor(request: HttpRequest, cursor: str | None) -> str:
    params = request.GET.copy()
    params.pop("cursor", None)
    if cursor:
        params["cursor"] = cursor
    return f"{request.path}?{params.urlencode()}" if params else request.path

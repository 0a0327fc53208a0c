"""The pages of traces and their deletion."""

from typing import Any

from django.http import HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.views.decorators.http import require_safe

from dagy_console.core.http import ConsoleRequest, page_context, render_page
from dagy_console.exceptions import selectors
from dagy_console.exceptions.forms import FILTERS, query_from_fields
from dagy_console.exceptions.index.status import index_status
from dagy_console.exceptions.models import Trace
from dagy_console.exceptions.presenting import ranges, summary_context, terms
from dagy_console.exceptions.search import BadQuery, TraceQuery, parse
from dagy_console.exceptions.serializers import search_url, term_query, trace_row, trace_url
from dagy_console.exceptions.services.download import start_download
from dagy_console.exceptions.stored import read_preview, stored_response
from dagy_console.exceptions.summary import summarize


@require_safe
def traces(request: ConsoleRequest) -> HttpResponse:
    """The search page. The form of single fields is folded into `q`, so that the URL says it all."""
    fields = {key: request.GET[key] for key in FILTERS if request.GET.get(key)}
    try:
        query = query_from_fields(request.GET.get("q", ""), fields)
    except BadQuery as error:
        return _bad_query(request, error)
    if fields:
        return HttpResponseRedirect(search_url(query))
    page = selectors.list_traces(request.actor, query, cursor=request.GET.get("cursor", ""))
    context = _search_context(query) | {
        "page": page_context(request, page, [trace_row(row, query) for row in page.rows]),
        "summary": summary_context(query, summarize(request.actor, query)),
    }
    return render_page(request, "exceptions/list.html", context, part="results")


def _bad_query(request: ConsoleRequest, error: BadQuery) -> HttpResponse:
    text = request.GET.get("q", "")
    said = {"message": error.message, "position": error.position, "text": error.text}
    context = _search_context(TraceQuery()) | {
        "query": {"text": text, "terms": []},
        "query_error": said,
        "page": {"rows": [], "next_url": None, "first_url": None, "is_first": True},
        "summary": None,
    }
    return render_page(request, "exceptions/list.html", context, part="results", status=422)


def _search_context(query: TraceQuery) -> dict[str, Any]:
    return {
        "nav": "exceptions",
        "query": {"text": query.text, "terms": terms(query)},
        "query_error": None,
        "filters": {key: next(iter(query.values(key)), "") for key in FILTERS},
        "ranges": ranges(query),
        "index": index_status(),
    }


@require_safe
def trace(request: ConsoleRequest) -> HttpResponse:
    """One trace, read from S3; where S3 fails, what the index knows and why there is no more."""
    query = query_or_none(request.GET.get("q", ""))
    row = selectors.get_trace(request.actor, request.GET.get("key", ""))
    reading = read_preview(row)
    context = {
        "nav": "exceptions",
        "trace": trace_row(row, query)
        | {"bucket": reading.bucket, "s3_uri": reading.s3_uri, "metadata": reading.metadata},
        "preview": reading.preview,
        "problem": reading.problem,
        "neighbours": _neighbours(request, query, row),
        "links": _links(request, row),
        "query": query,
        "back_url": search_url(query),
        "content_url": trace_url(row.key, page="exceptions:content"),
        "download_url": trace_url(row.key, page="exceptions:download"),
    }
    return render_page(request, "exceptions/trace.html", context, status=reading.status)


def _neighbours(request: ConsoleRequest, query: TraceQuery, row: Trace) -> dict[str, str | None]:
    newer, older = selectors.neighbours(request.actor, query, row)
    return {
        "newer_url": trace_url(newer.key, query) if newer else None,
        "older_url": trace_url(older.key, query) if older else None,
    }


def _links(request: ConsoleRequest, row: Trace) -> list[dict[str, Any]]:
    """To what is like this trace, each with how many there are."""
    alike = {
        "Same request id": term_query("request", row.request_id),
        "Same group": term_query("group", row.fingerprint),
        "Same organization": term_query("org", row.org_id),
    }
    return [
        {"label": label, "url": search_url(found), "count": selectors.count_up_to(request.actor, found, 1_000)}
        for label, found in alike.items()
        if found.terms
    ]


def query_or_none(text: str) -> TraceQuery:
    try:
        return parse(text)
    except BadQuery:
        return TraceQuery()


@require_safe
def content(request: ConsoleRequest) -> HttpResponseBase:
    """The stored bytes, unchanged."""
    return stored_response(request.actor, request.GET.get("key", ""))


@require_safe
def download(request: ConsoleRequest) -> HttpResponse:
    """To the presigned link. A GET that is recorded: a form's redirect to S3 would break the page's CSP."""
    return HttpResponseRedirect(start_download(actor=request.actor, key=request.GET.get("key", "")).url)

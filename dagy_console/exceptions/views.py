"""The pages of traces and their deletion."""

from typing import Any

from csp.decorators import csp_update
from django.http import HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from dagy_console.core.http import ConsoleRequest, render_page
from dagy_console.exceptions import selectors
from dagy_console.exceptions.groups.presenting import group_of
from dagy_console.exceptions.index.status import index_status
from dagy_console.exceptions.models import Trace
from dagy_console.exceptions.presenting import beside
from dagy_console.exceptions.runs import run_of
from dagy_console.exceptions.search import TRACES, TraceQuery, parse
from dagy_console.exceptions.serializers import term_query, trace_row, trace_url
from dagy_console.exceptions.trace.handing_out import stored_response
from dagy_console.exceptions.trace.services import record_reading, start_download
from dagy_console.exceptions.trace.stored import read_preview
from dagy_console.exceptions.trace.story import story_of
from dagy_console.listing.finding import count_up_to, neighbours
from dagy_console.listing.language import BadQuery
from dagy_console.listing.page import search_page


@require_safe
def traces(request: ConsoleRequest) -> HttpResponse:
    rows = selectors.visible_to(request.actor)
    context = {"nav": "exceptions", "index": index_status()}
    return search_page(request, TRACES, "exceptions/list.html", rows, row=trace_row, beside=beside, context=context)


@require_safe
def trace(request: ConsoleRequest) -> HttpResponseBase:
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
        "story": story_of(request.actor, row),
        "group": group_of(row.fingerprint),
        "query": query,
        "back_url": query.url,
        "content_url": trace_url(row.key, page="exceptions:content"),
    }
    if reading.preview and not request.is_head:
        record_reading(actor=request.actor, key=row.key)
    page = render_page(request, "exceptions/trace.html", context, status=reading.status)
    return csp_update({"form-action": reading.origin})(lambda _: page)(request)


def _neighbours(request: ConsoleRequest, query: TraceQuery, row: Trace) -> dict[str, str | None]:
    newer, older = neighbours(selectors.visible_to(request.actor), query, row)
    return {
        "newer_url": trace_url(newer.key, query) if newer else None,
        "older_url": trace_url(older.key, query) if older else None,
    }


def _links(request: ConsoleRequest, row: Trace) -> list[dict[str, Any]]:
    """To what is like this trace, each with how many there are."""
    rows = selectors.visible_to(request.actor)
    alike = {
        "Same request id": term_query("request", row.request_id),
        "Same organization": term_query("org", row.org_id),
    }
    links: list[dict[str, Any]] = [
        {"label": label, "url": found.url, "count": count_up_to(rows, found, 1_000)}
        for label, found in alike.items()
        if found.terms
    ]
    # The trace itself is no link.
    links = [link for link in links if link["count"] > 1]
    run = run_of(request.actor, row)
    return [{"label": "Its run", "url": reverse("runs:run", args=[run.pk]), "count": None}, *links] if run else links


def query_or_none(text: str) -> TraceQuery:
    try:
        return parse(text)
    except BadQuery:
        return TRACES.query()


@require_safe
def content(request: ConsoleRequest) -> HttpResponseBase:
    """The stored bytes, unchanged."""
    return stored_response(request, request.GET.get("key", ""))


@require_POST
def download(request: ConsoleRequest) -> HttpResponse:
    """To the presigned link, which the trace's page lets its form lead to."""
    link = start_download(actor=request.actor, key=request.POST.get("key", ""))
    return HttpResponseRedirect(link.url, status=303)

"""The pages of traces and their deletion."""

import uuid
from typing import Any

from csp.decorators import csp_update
from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.views.decorators.http import require_POST, require_safe

from dagy_console.core.database import database_time
from dagy_console.core.errors import Conflict
from dagy_console.core.http import ConsoleRequest, page_context, render_page
from dagy_console.exceptions import selectors
from dagy_console.exceptions.forms import FILTERS, DeletionForm, query_from_fields
from dagy_console.exceptions.handing_out import stored_response
from dagy_console.exceptions.index_status import index_status
from dagy_console.exceptions.models import Trace
from dagy_console.exceptions.presenting import ranges, summary_context, terms
from dagy_console.exceptions.search import BadQuery, TraceQuery, parse
from dagy_console.exceptions.serializers import job_row, search_url, term_query, trace_row, trace_url
from dagy_console.exceptions.services import deletion
from dagy_console.exceptions.services.download import record_reading, start_download
from dagy_console.exceptions.stored import read_preview
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
def trace(request: ConsoleRequest) -> HttpResponseBase:
    """One trace, read from S3; where S3 fails, what the index knows and why there is no more."""
    query = _query_or_none(request.GET.get("q", ""))
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
    }
    if reading.preview and not request.is_head:
        record_reading(actor=request.actor, key=row.key)
    page = render_page(request, "exceptions/trace.html", context, status=reading.status)
    return csp_update({"form-action": reading.origin})(lambda _: page)(request)


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


def _query_or_none(text: str) -> TraceQuery:
    try:
        return parse(text)
    except BadQuery:
        return TraceQuery()


@require_safe
def content(request: ConsoleRequest) -> HttpResponseBase:
    """The stored bytes, unchanged."""
    return stored_response(request, request.GET.get("key", ""))


@require_POST
def download(request: ConsoleRequest) -> HttpResponse:
    """To the presigned link, which the trace's page lets its form lead to."""
    link = start_download(actor=request.actor, key=request.POST.get("key", ""))
    return HttpResponseRedirect(link.url, status=303)


@require_POST
def confirm_deletion(request: ConsoleRequest) -> HttpResponse:
    """What a deletion would hit, and the question."""
    try:
        query = parse(request.POST.get("q", "")) if request.POST.get("all") else None
    except BadQuery as error:
        return _said(request, f"The search cannot be read: {error.message}")
    keys = list(dict.fromkeys(request.POST.getlist("key")))
    if query is None and not keys:
        return _said(request, "Select at least one trace to delete.")
    if query is None:
        selectors.require_trace_keys(request.actor, keys)
    return _confirmation(request, query=query, keys=keys)


def _confirmation(
    request: ConsoleRequest,
    *,
    query: TraceQuery | None,
    keys: list[str],
    form: DeletionForm | None = None,
    status: int = 200,
) -> HttpResponse:
    cutoff = form.cutoff_time if form else database_time()
    plan = (
        selectors.plan_deletion(request.actor, query=query, cutoff=cutoff)
        if query is not None
        else selectors.plan_key_deletion(request.actor, keys=keys, cutoff=cutoff)
    )
    context = {
        "nav": "exceptions",
        "plan": plan,
        "sample": [trace_row(row) for row in plan.sample],
        "form": form or DeletionForm.of(plan),
        "back_url": search_url(query or TraceQuery()),
    }
    return render_page(request, "exceptions/confirm_deletion.html", context, status=status)


@require_POST
def start_deletion(request: ConsoleRequest) -> HttpResponse:
    """Queue the deletion as it was confirmed, or ask again and say why."""
    form = DeletionForm(request.POST)
    valid = form.is_valid()
    if not form.is_intact:
        return _said(request, "The confirmation was damaged on its way. Nothing was deleted; select again.")
    query = None if form.keys else form.query
    if not valid:
        return _confirmation(request, query=query, keys=form.keys, form=form, status=422)
    try:
        job = deletion.start_confirmed(
            actor=request.actor,
            query=query,
            keys=form.keys,
            cutoff=form.cutoff_time,
            expected_count=form.cleaned_data["expected_count"],
        )
    except deletion.CountChanged as error:
        messages.error(request, error.detail)
        return _confirmation(request, query=query, keys=form.keys, status=409)
    return redirect("exceptions:deletion", job.id)


def _said(request: ConsoleRequest, message: str) -> HttpResponse:
    """Back to the list with a message."""
    messages.error(request, message)
    return redirect(search_url(_query_or_none(request.POST.get("q", ""))))


@require_safe
def deletions(request: ConsoleRequest) -> HttpResponse:
    page = selectors.list_deletions(request.actor, cursor=request.GET.get("cursor", ""))
    context = {"nav": "exceptions", "page": page_context(request, page, map(job_row, page.rows))}
    return render_page(request, "exceptions/deletions.html", context)


@require_safe
def deletion_progress(request: ConsoleRequest, job_id: uuid.UUID) -> HttpResponse:
    job = selectors.get_deletion(request.actor, job_id)
    context = {"nav": "exceptions", "job": job_row(job), "errors": selectors.deletion_errors(request.actor, job)}
    return render_page(request, "exceptions/deletion.html", context, part="progress")


@require_POST
def cancel_deletion(request: ConsoleRequest, job_id: uuid.UUID) -> HttpResponse:
    try:
        deletion.cancel_deletion(actor=request.actor, job_id=job_id)
    except Conflict as error:
        messages.info(request, error.detail)
    return redirect("exceptions:deletion", job_id)

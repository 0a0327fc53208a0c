"""The pages of traces and their deletion."""

import uuid
from typing import Any

from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.views.decorators.http import require_POST, require_safe

from dagy_console.core.database import database_time
from dagy_console.core.errors import Conflict
from dagy_console.core.http import ConsoleRequest, render_page
from dagy_console.exceptions import selectors
from dagy_console.exceptions.forms import DeletionForm
from dagy_console.exceptions.index_status import index_status
from dagy_console.exceptions.models import Trace
from dagy_console.exceptions.search import TRACES, TraceQuery, parse
from dagy_console.exceptions.serializers import job_row, term_query, trace_row, trace_url
from dagy_console.exceptions.services import deletion
from dagy_console.exceptions.services.download import start_download
from dagy_console.exceptions.stored import read_preview, stored_response
from dagy_console.listing.finding import count_up_to, neighbours
from dagy_console.listing.language import BadQuery
from dagy_console.listing.page import page_context, search_page


@require_safe
def traces(request: ConsoleRequest) -> HttpResponse:
    rows = selectors.visible_to(request.actor)
    context = {"nav": "exceptions", "index": index_status()}
    return search_page(request, TRACES, "exceptions/list.html", rows, row=trace_row, context=context)


@require_safe
def trace(request: ConsoleRequest) -> HttpResponse:
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
        "back_url": query.url,
        "content_url": trace_url(row.key, page="exceptions:content"),
        "download_url": trace_url(row.key, page="exceptions:download"),
    }
    return render_page(request, "exceptions/trace.html", context, status=reading.status)


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
        "Same group": term_query("group", row.fingerprint),
        "Same organization": term_query("org", row.org_id),
    }
    return [
        {"label": label, "url": found.url, "count": count_up_to(rows, found, 1_000)}
        for label, found in alike.items()
        if found.terms
    ]


def _query_or_none(text: str) -> TraceQuery:
    try:
        return parse(text)
    except BadQuery:
        return TRACES.query()


@require_safe
def content(request: ConsoleRequest) -> HttpResponseBase:
    """The stored bytes, unchanged."""
    return stored_response(request.actor, request.GET.get("key", ""))


@require_safe
def download(request: ConsoleRequest) -> HttpResponse:
    """To the presigned link. A GET that is recorded: a form's redirect to S3 would break the page's CSP."""
    return HttpResponseRedirect(start_download(actor=request.actor, key=request.GET.get("key", "")).url)


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
        "back_url": (query or TRACES.query()).url,
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
    return redirect(_query_or_none(request.POST.get("q", "")).url)


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

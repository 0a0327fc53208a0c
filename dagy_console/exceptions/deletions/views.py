"""The pages of deletions: the question, the list, the progress."""

import uuid

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from dagy_console.accounts.sudo import sudo_required
from dagy_console.core.database import horizon
from dagy_console.core.errors import Conflict
from dagy_console.core.http import ConsoleRequest, render_page
from dagy_console.core.words import counted
from dagy_console.exceptions.deletions import selectors, services
from dagy_console.exceptions.deletions.forms import DeletionForm
from dagy_console.exceptions.deletions.presenting import job_row
from dagy_console.exceptions.deletions.selection import Selection
from dagy_console.exceptions.presenting import trace_rows
from dagy_console.exceptions.search import DELETIONS, TraceQuery, parse
from dagy_console.exceptions.selectors import require_trace_keys
from dagy_console.exceptions.views import query_or_none
from dagy_console.listing.language import BadQuery
from dagy_console.listing.page import search_page


@require_http_methods(["GET", "HEAD", "POST"])
def confirm_deletion(request: ConsoleRequest) -> HttpResponse:
    """What a deletion would hit, and the question. It has an address: a form that was sent leads there."""
    if request.method == "POST":
        chosen = Selection.of(request.POST)
        if not chosen.is_all and not chosen.keys:
            return _said(request, "Select at least one trace to delete.")
        return redirect(chosen.url)
    try:
        chosen = Selection.of(request.GET)
        query = parse(chosen.text) if chosen.is_all else None
    except BadQuery as error:
        return _said(request, f"The search cannot be read: {error.message}")
    keys = chosen.keys or selectors.failed_keys(request.actor, request.GET.get("failed_of", ""))
    if query is None and not keys:
        return _said(request, "The selection is gone, and nothing was deleted: select again.")
    if query is None:
        require_trace_keys(request.actor, keys)
    return _confirmation(request, query=query, keys=keys)


def _confirmation(
    request: ConsoleRequest,
    *,
    query: TraceQuery | None,
    keys: list[str],
    form: DeletionForm | None = None,
    status: int = 200,
) -> HttpResponse:
    at = form.horizon if form else horizon()
    plan = (
        selectors.plan_deletion(request.actor, query=query, horizon=at)
        if query is not None
        else selectors.plan_key_deletion(request.actor, keys=keys, horizon=at)
    )
    context = {
        "nav": "exceptions",
        "plan": plan,
        "sample": trace_rows(plan.sample),
        "form": form or DeletionForm.of(plan),
        "back_url": (query or query_or_none(request.GET.get("q", ""))).url,
    }
    return render_page(request, "exceptions/confirm_deletion.html", context, status=status)


def _deed(request: ConsoleRequest) -> str:
    count = request.POST.get("expected_count", "")
    return f"Delete {counted(int(count), 'trace')}" if count.isdecimal() and len(count) < 10 else "Delete traces"


@require_POST
@sudo_required(_deed)
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
        job = services.start_confirmed(
            actor=request.actor,
            query=query,
            keys=form.keys,
            horizon=form.horizon,
            expected_count=form.cleaned_data["expected_count"],
        )
    except services.CountChanged as error:
        messages.error(request, error.detail)
        return _confirmation(request, query=query, keys=form.keys, status=409)
    return redirect("exceptions:deletion", job.id)


def _said(request: ConsoleRequest, message: str) -> HttpResponse:
    """Back to the list with a message."""
    messages.error(request, message)
    return redirect(query_or_none((request.POST or request.GET).get("q", "")).url)


@require_safe
def deletions(request: ConsoleRequest) -> HttpResponse:
    rows = selectors.visible_to(request.actor)
    return search_page(
        request, DELETIONS, "exceptions/deletions.html", rows, row=job_row, context={"nav": "exceptions"}
    )


@require_safe
def deletion_progress(request: ConsoleRequest, job_id: uuid.UUID) -> HttpResponse:
    job = selectors.get_deletion(request.actor, job_id)
    context = {
        "nav": "exceptions",
        "job": job_row(job),
        "errors": selectors.deletion_errors(request.actor, job),
        "codes": selectors.errors_by_code(request.actor, job),
    }
    return render_page(request, "exceptions/deletion.html", context, part="progress")


@require_POST
def cancel_deletion(request: ConsoleRequest, job_id: uuid.UUID) -> HttpResponse:
    try:
        services.cancel_deletion(actor=request.actor, job_id=job_id)
    except Conflict as error:
        messages.info(request, error.detail)
    return redirect("exceptions:deletion", job_id)

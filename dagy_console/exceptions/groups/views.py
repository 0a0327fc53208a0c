"""The pages of groups: the list, one of them, what is behind it, two traces side by side."""

from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST, require_safe

from dagy_console.audit.serializers import entry_row
from dagy_console.core.errors import ConsoleError, Invalid
from dagy_console.core.http import ConsoleRequest, render_page
from dagy_console.core.permissions import Permission
from dagy_console.exceptions import selectors as traces
from dagy_console.exceptions.groups import presenting, selectors, services
from dagy_console.exceptions.groups.comparing import Comparison, compare
from dagy_console.exceptions.groups.differing import differences
from dagy_console.exceptions.groups.serializers import group_row
from dagy_console.exceptions.groups.sharing import shared_by
from dagy_console.exceptions.models import GroupStatus
from dagy_console.exceptions.presenting import trace_rows
from dagy_console.exceptions.search import GROUPS, TRACES
from dagy_console.listing.language import Term
from dagy_console.listing.page import search_page
from dagy_console.listing.presenting import summary_context
from dagy_console.listing.summary import summarize


@require_safe
def groups(request: ConsoleRequest) -> HttpResponse:
    rows = selectors.visible_to(request.actor)
    return search_page(
        request,
        GROUPS,
        "exceptions/groups.html",
        rows,
        row=group_row,
        beside=presenting.sparklines_of,
        context={"nav": "exceptions"},
    )


@require_safe
def group(request: ConsoleRequest, fingerprint: str) -> HttpResponse:
    """What it is, since when, whom it hits, whether it goes on, and what was changed just before it began."""
    found = selectors.get_group(request.actor, fingerprint)
    ends = selectors.ends(fingerprint)
    query = TRACES.query(Term("group", fingerprint))
    rows = trace_rows(ends, query)
    summary = summary_context(query, summarize(traces.visible_to(request.actor), query))
    context = {
        "nav": "exceptions",
        "group": group_row(found),
        "why": presenting.why(found),
        "pulse": selectors.pulse(found),
        "trend": summary["histogram"],
        "facets": presenting.other_facets(summary["facets"]),
        "first": rows[0] if rows else None,
        "latest": rows[-1] if rows else None,
        "changes": [entry_row(entry) for entry in selectors.changes_before(request.actor, ends[0])] if ends else [],
        "statuses": GroupStatus.choices,
        "may_decide": request.actor.can(Permission.EXCEPTIONS_WRITE),
    }
    return render_page(request, "exceptions/group.html", context)


@require_safe
def analysis(request: ConsoleRequest, fingerprint: str) -> HttpResponse:
    """What is different about its traces, and what they share: the page asks for it when it is there."""
    found = selectors.get_group(request.actor, fingerprint)
    query = TRACES.query(Term("group", fingerprint))
    context: dict[str, Any] = {"nav": "exceptions", "group": group_row(found), "problem": ""}
    try:
        different = differences(traces.visible_to(request.actor), query)
        context["different"] = presenting.differences_rows(query, different)
    except ConsoleError as error:
        context["problem"] = error.detail
    context["shared"] = presenting.shared_rows(shared_by(fingerprint))
    return render_page(request, "exceptions/group_analysis.html", context, part="analysis")


@require_POST
def set_status(request: ConsoleRequest, fingerprint: str) -> HttpResponse:
    try:
        found = services.set_status(
            actor=request.actor,
            fingerprint=fingerprint,
            status=request.POST.get("status"),
            note=request.POST.get("note"),
        )
    except Invalid as error:
        messages.error(request, f"Nothing was changed. {error.detail}")
    else:
        messages.success(request, f"The group is {found.status}.")
    return redirect("exceptions:group", fingerprint)


@require_safe
def comparison(request: ConsoleRequest) -> HttpResponse:
    """Two traces side by side; where S3 fails, why."""
    first = traces.get_trace(request.actor, request.GET.get("a", ""))
    second = traces.get_trace(request.actor, request.GET.get("b", ""))
    compared, problem, status = Comparison(), None, 200
    try:
        compared = compare(first, second)
    except ConsoleError as error:
        problem, status = {"title": error.title, "detail": error.detail}, error.status
    context = {
        "nav": "exceptions",
        **dict(zip(("first", "second"), trace_rows([first, second]), strict=True)),
        "compared": compared,
        "problem": problem,
    }
    return render_page(request, "exceptions/comparison.html", context, status=status)

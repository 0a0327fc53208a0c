"""The pages of silences: the list, a new one, one with what it kept quiet."""

import uuid
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from dagy_console.alerts.firings import selectors as firings
from dagy_console.alerts.firings.presenting import alert_row
from dagy_console.alerts.hush import terms_of
from dagy_console.alerts.search import SILENCES
from dagy_console.alerts.silences import presenting, selectors, services
from dagy_console.alerts.silences.forms import SilenceForm
from dagy_console.core.errors import Conflict, Invalid, PermissionDenied
from dagy_console.core.http import ConsoleRequest, render_page
from dagy_console.core.permissions import Permission
from dagy_console.listing.page import search_page

SHOWN = 100


@require_safe
def silences(request: ConsoleRequest) -> HttpResponse:
    context = {"nav": "alerts", "may_write": request.actor.can_somewhere(Permission.NOTIFICATIONS_WRITE)}
    return search_page(
        request,
        SILENCES,
        "alerts/silences.html",
        selectors.visible_to(request.actor),
        row=presenting.silence_row,
        draw=selectors.with_hidden,
        context=context,
    )


@require_http_methods(["GET", "HEAD", "POST"])
def new_silence(request: ConsoleRequest) -> HttpResponse:
    request.actor.require_somewhere(Permission.NOTIFICATIONS_WRITE)
    form = SilenceForm(
        request.POST if request.method == "POST" else None, actor=request.actor, initial=_of_alert(request)
    )
    if form.is_valid():
        try:
            made = services.create_silence(actor=request.actor, **form.cleaned_data)
        except (Invalid, PermissionDenied) as error:
            form.refuse(error)
        else:
            messages.success(request, "They are quiet. What still fires when it is over is told then.")
            return redirect("silences:silence", made.pk)
    context = {"nav": "alerts", "form": form}
    return render_page(request, "alerts/silence_new.html", context, status=422 if form.errors else 200)


def _of_alert(request: ConsoleRequest) -> dict[str, Any]:
    """Filled in for the alert that the address names."""
    try:
        alert = firings.get_alert(request.actor, uuid.UUID(request.GET.get("alert", "")))
    except ValueError:
        return {}
    return {"matchers": " ".join(term.text for term in terms_of(alert)), "org_id": alert.organization_id or ""}


@require_safe
def silence(request: ConsoleRequest, silence_id: uuid.UUID) -> HttpResponse:
    found = selectors.get_silence(request.actor, silence_id)
    rows = firings.visible_to(request.actor).filter(silence=found).order_by("-since", "-id")[:SHOWN]
    context = {
        "nav": "alerts",
        "silence": presenting.silence_row(found),
        "may_write": request.actor.can(Permission.NOTIFICATIONS_WRITE, org_id=found.organization_id or ""),
        "alerts": [alert_row(row) for row in rows],
    }
    return render_page(request, "alerts/silence.html", context)


@require_POST
def end_silence(request: ConsoleRequest, silence_id: uuid.UUID) -> HttpResponse:
    try:
        services.end_silence(actor=request.actor, silence_id=silence_id)
    except Conflict as error:
        messages.info(request, error.detail)
    else:
        messages.success(request, "It is over. What still fires is told at the next check.")
    return redirect("silences:silence", silence_id)

"""The pages of alerts: what fires and fired, and one with what was told of it."""

import uuid
from collections.abc import Callable
from datetime import timedelta

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from dagy_console.accounts.context import origin_of
from dagy_console.alerts import links
from dagy_console.alerts.deliveries.presenting import delivery_row
from dagy_console.alerts.firings import selectors, services
from dagy_console.alerts.firings.presenting import alert_row
from dagy_console.alerts.hush import terms_of
from dagy_console.alerts.models import Alert
from dagy_console.alerts.saying import rows_url
from dagy_console.alerts.search import ALERTS
from dagy_console.alerts.silences import services as silences
from dagy_console.core.actors import Actor
from dagy_console.core.errors import Conflict
from dagy_console.core.http import ConsoleRequest, render_page
from dagy_console.core.permissions import Permission
from dagy_console.core.words import duration
from dagy_console.listing.page import search_page

SILENCE_HOURS = (1, 4, 12)
BY_LINK = "by the link in a message"


@require_safe
def alerts(request: ConsoleRequest) -> HttpResponse:
    rows = selectors.visible_to(request.actor)
    context = {"nav": "alerts", "may_write": request.actor.can_somewhere(Permission.NOTIFICATIONS_WRITE)}
    return search_page(request, ALERTS, "alerts/list.html", rows, row=alert_row, context=context)


@require_safe
def alert(request: ConsoleRequest, alert_id: uuid.UUID) -> HttpResponse:
    found = selectors.get_alert(request.actor, alert_id)
    context = {
        "nav": "alerts",
        "alert": alert_row(found) | {"rows_url": rows_url(found.rule, found)},
        "may_write": request.actor.can(Permission.NOTIFICATIONS_WRITE, org_id=found.organization_id or ""),
        "deliveries": [delivery_row(row, request.actor) for row in selectors.deliveries_of(found)],
    }
    return render_page(request, "alerts/alert.html", context)


@require_POST
def acknowledge(request: ConsoleRequest, alert_id: uuid.UUID) -> HttpResponse:
    return _done(request, alert_id, services.acknowledge, "You look after it: it is told no more until it clears.")


@require_POST
def unacknowledge(request: ConsoleRequest, alert_id: uuid.UUID) -> HttpResponse:
    return _done(request, alert_id, services.unacknowledge, "Nobody looks after it now: it is told again.")


@require_POST
def resolve(request: ConsoleRequest, alert_id: uuid.UUID) -> HttpResponse:
    return _done(request, alert_id, services.resolve, "It is resolved.")


@require_http_methods(["GET", "HEAD", "POST"])
def by_link(request: HttpRequest, token: str) -> HttpResponse:
    """What the link in a message opens: nothing is done before its button is pressed."""
    found, channel = links.read(token)
    said = _do_by_link(request, found, links.actor_of(channel, origin_of(request))) if request.method == "POST" else ""
    found.refresh_from_db()
    context = {"alert": alert_row(found), "said": said, "hours": SILENCE_HOURS}
    return render_page(request, "alerts/link.html", context)


def _do_by_link(request: HttpRequest, found: Alert, actor: Actor) -> str:
    hours = request.POST.get("hours", "")
    try:
        if hours.isdecimal() and int(hours) in SILENCE_HOURS:
            until = timezone.now() + timedelta(hours=int(hours))
            silences.create_silence(
                actor=actor, org_id=found.organization_id or "", matchers=terms_of(found), until=until, reason=BY_LINK
            )
            return f"It is quiet for {duration(timedelta(hours=int(hours)))}."
        services.acknowledge(actor=actor, alert_id=found.pk)
    except Conflict as error:
        return error.detail
    return "It is acknowledged: it is told no more until it clears."


def _done(request: ConsoleRequest, alert_id: uuid.UUID, deed: Callable[..., Alert], said: str) -> HttpResponse:
    try:
        deed(actor=request.actor, alert_id=alert_id)
    except Conflict as error:
        messages.info(request, error.detail)
    else:
        messages.success(request, said)
    return redirect("alerts:alert", alert_id)

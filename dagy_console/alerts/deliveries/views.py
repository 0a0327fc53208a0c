"""The page of deliveries: what was sent, what waits, what was given up and can be sent again."""

import uuid
from functools import partial

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST, require_safe

from dagy_console.alerts.deliveries import selectors, services
from dagy_console.alerts.deliveries.presenting import delivery_row
from dagy_console.alerts.models import Delivery
from dagy_console.alerts.search import DELIVERIES
from dagy_console.core.errors import Conflict
from dagy_console.core.http import ConsoleRequest
from dagy_console.core.permissions import Permission
from dagy_console.listing.language import Query
from dagy_console.listing.page import search_page


@require_safe
def deliveries(request: ConsoleRequest) -> HttpResponse:
    rows = selectors.visible_to(request.actor)
    context = {"nav": "alerts", "may_write": request.actor.can_somewhere(Permission.NOTIFICATIONS_WRITE)}
    return search_page(
        request,
        DELIVERIES,
        "alerts/deliveries.html",
        rows,
        row=partial(_row, request),
        draw=selectors.with_attempts,
        context=context,
    )


def _row(request: ConsoleRequest, delivery: Delivery, query: Query) -> dict[str, object]:
    return delivery_row(delivery, request.actor, query)


@require_POST
def resend(request: ConsoleRequest, delivery_id: uuid.UUID) -> HttpResponse:
    try:
        delivery = services.resend(actor=request.actor, delivery_id=delivery_id)
    except Conflict as error:
        messages.info(request, error.detail)
        return redirect("deliveries:list")
    messages.success(request, "It is on its way again.")
    return redirect("channels:channel", delivery.channel_id)

"""The audit log's page."""

from django.http import HttpResponse
from django.views.decorators.http import require_safe

from dagy_console.audit import selectors
from dagy_console.audit.serializers import entry_row
from dagy_console.core.http import ConsoleRequest
from dagy_console.listing.page import search_page


@require_safe
def entries(request: ConsoleRequest) -> HttpResponse:
    rows, listing = selectors.visible_to(request.actor), selectors.listing_for(request.actor)
    return search_page(request, listing, "audit/list.html", rows, row=entry_row, context={"nav": "audit"})

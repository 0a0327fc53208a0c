"""The audit list."""

from django.http import HttpResponse
from django.views.decorators.http import require_safe

from dagy_console.audit import selectors
from dagy_console.audit.forms import AuditFilterForm
from dagy_console.audit.serializers import entry_row
from dagy_console.core.http import ConsoleRequest, page_context, render_page


@require_safe
def entries(request: ConsoleRequest) -> HttpResponse:
    """Newest first; the URL holds the filters."""
    form = AuditFilterForm(request.GET)
    wanted = form.wanted() if form.is_valid() else selectors.AuditFilter()
    page = selectors.list_entries(request.actor, wanted, cursor=request.GET.get("cursor", ""))
    context = {"nav": "audit", "form": form, "page": page_context(request, page, map(entry_row, page.rows))}
    return render_page(request, "audit/list.html", context, part="results", status=200 if form.is_valid() else 422)

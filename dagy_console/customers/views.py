"""The pages of customers: the list, one customer, its suspension."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from dagy_console.accounts.sudo import sudo_required
from dagy_console.audit import selectors as audit
from dagy_console.audit.serializers import entry_row
from dagy_console.core.errors import Conflict, Invalid
from dagy_console.core.forms import add_errors
from dagy_console.core.http import ConsoleRequest, render_page
from dagy_console.core.permissions import Permission
from dagy_console.customers import registry, selectors
from dagy_console.customers.forms import ReasonForm, SuspensionForm
from dagy_console.customers.search import CUSTOMERS
from dagy_console.customers.serializers import customer_row, preview_rows
from dagy_console.customers.services import suspension as suspensions
from dagy_console.listing.page import search_page


@require_safe
def customers(request: ConsoleRequest) -> HttpResponse:
    rows = selectors.visible_to(request.actor)
    context = {"nav": "customers", "figures": list(registry.figures.values())}
    return search_page(
        request, CUSTOMERS, "customers/list.html", rows, row=customer_row, context=context, draw=selectors.with_health
    )


@require_safe
def customer(request: ConsoleRequest, org_id: str) -> HttpResponse:
    """One customer at a glance."""
    return _customer(request, org_id)


def _customer(
    request: ConsoleRequest, org_id: str, *, form: ReasonForm | None = None, status: int = 200
) -> HttpResponse:
    actor = request.actor
    found = selectors.get_customer(actor, org_id)
    panels = sorted(registry.panels.values(), key=lambda panel: panel.order)
    context = {
        "nav": "customers",
        "customer": customer_row(found),
        "suspension": selectors.suspension_of(actor, org_id),
        "members": selectors.members_of(actor, org_id),
        "panels": [{"template": panel.template} | panel.context(actor, org_id) for panel in panels],
        "activity": [entry_row(entry) for entry in audit.recent(actor, limit=10, org_id=org_id)],
        "form": form or ReasonForm(),
        "may": {
            "suspend": actor.can(Permission.CUSTOMERS_SUSPEND),
            "impersonate": actor.can(Permission.USERS_IMPERSONATE),
            "revoke": actor.can(Permission.SESSIONS_REVOKE),
        },
    }
    return render_page(request, "customers/customer.html", context, status=status)


@require_http_methods(["GET", "HEAD", "POST"])
@sudo_required("Suspend {org_id}")
def suspend(request: ConsoleRequest, org_id: str) -> HttpResponse:
    """The question, with what it would hit; and the suspension."""
    form = SuspensionForm(request.POST or None)
    if request.method != "POST" or not form.is_valid():
        return _suspension(request, org_id, form)
    try:
        suspensions.suspend(actor=request.actor, org_id=org_id, **form.values)
    except Conflict as error:
        messages.error(request, error.detail)
    except Invalid as error:
        return _suspension(request, org_id, add_errors(form, error))
    return redirect("customers:customer", org_id)


def _suspension(request: ConsoleRequest, org_id: str, form: SuspensionForm) -> HttpResponse:
    preview = selectors.suspension_preview(request.actor, org_id)
    context = {
        "nav": "customers",
        "customer": customer_row(selectors.get_customer(request.actor, org_id)),
        "preview": preview,
        "hits": preview_rows(preview),
        "form": form,
    }
    return render_page(request, "customers/suspend.html", context, status=422 if form.errors else 200)


@require_POST
@sudo_required("Lift the suspension of {org_id}")
def unsuspend(request: ConsoleRequest, org_id: str) -> HttpResponse:
    form = ReasonForm(request.POST)
    try:
        suspensions.unsuspend(actor=request.actor, org_id=org_id, reason=request.POST.get("reason", ""))
    except Conflict as error:
        messages.error(request, error.detail)
    except Invalid as error:
        return _customer(request, org_id, form=add_errors(form, error), status=422)
    return redirect("customers:customer", org_id)

"""The pages of rules: the list, a new one, one with its form and what it fired lately."""

import uuid

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from dagy_console.alerts.firings import selectors as firings
from dagy_console.alerts.firings.presenting import alert_row
from dagy_console.alerts.models import Rule
from dagy_console.alerts.rules import presenting, selectors, services
from dagy_console.alerts.rules.forms import RuleForm
from dagy_console.alerts.rules.terms import Terms
from dagy_console.alerts.search import RULES
from dagy_console.core.errors import Invalid, PermissionDenied
from dagy_console.core.http import ConsoleRequest, render_page
from dagy_console.core.permissions import Permission
from dagy_console.listing.page import search_page

SHOWN = 10


@require_safe
def rules(request: ConsoleRequest) -> HttpResponse:
    rows = selectors.visible_to(request.actor)
    context = {"nav": "alerts", "may_write": request.actor.can_somewhere(Permission.NOTIFICATIONS_WRITE)}
    return search_page(
        request,
        RULES,
        "alerts/rules.html",
        rows,
        row=presenting.rule_row,
        draw=selectors.with_channels,
        context=context,
    )


@require_http_methods(["GET", "HEAD", "POST"])
def new_rule(request: ConsoleRequest) -> HttpResponse:
    request.actor.require_somewhere(Permission.NOTIFICATIONS_WRITE)
    form = RuleForm(request.POST if request.method == "POST" else None, actor=request.actor)
    if form.is_valid():
        try:
            terms = Terms(**form.terms())
            made = services.create_rule(actor=request.actor, org_id=form.cleaned_data["org_id"], terms=terms)
        except (Invalid, PermissionDenied) as error:
            form.refuse(error)
        else:
            messages.success(request, "The rule is watching.")
            return redirect("rules:rule", made.pk)
    context = {"nav": "alerts", "form": form, "rule": None}
    return render_page(request, "alerts/rule.html", context, status=422 if form.errors else 200)


@require_http_methods(["GET", "HEAD", "POST"])
def rule(request: ConsoleRequest, rule_id: uuid.UUID) -> HttpResponse:
    found = selectors.get_rule(request.actor, rule_id)
    form = RuleForm(request.POST if request.method == "POST" else None, actor=request.actor, rule=found)
    if form.is_valid():
        try:
            services.change_rule(actor=request.actor, rule_id=found.pk, **form.terms())
        except Invalid as error:
            form.refuse(error)
        else:
            messages.success(request, "The rule was changed. What fires goes on, and clears by the new terms.")
            return redirect("rules:rule", found.pk)
    return render_page(request, "alerts/rule.html", _context(request, found, form), status=422 if form.errors else 200)


def _context(request: ConsoleRequest, found: Rule, form: RuleForm) -> dict[str, object]:
    rows = firings.visible_to(request.actor).filter(rule=found).order_by("-since", "-id")[:SHOWN]
    return {
        "nav": "alerts",
        "form": form,
        "rule": presenting.rule_row(found),
        "may_write": request.actor.can(Permission.NOTIFICATIONS_WRITE, org_id=found.org_id),
        "alerts": [alert_row(row) for row in rows],
    }


@require_POST
def delete_rule(request: ConsoleRequest, rule_id: uuid.UUID) -> HttpResponse:
    services.delete_rule(actor=request.actor, rule_id=rule_id)
    messages.success(request, "The rule was deleted, with its alerts.")
    return redirect("rules:list")

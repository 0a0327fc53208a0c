"""The pages of rules: the list, a new one, one with its form, its series and what it fired lately; and previews."""

import uuid
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from dagy_console.alerts.firings import selectors as firings
from dagy_console.alerts.firings.presenting import alert_row
from dagy_console.alerts.models import Rule
from dagy_console.alerts.rules import presenting, previewing, selectors, services
from dagy_console.alerts.rules.forms import RuleForm
from dagy_console.alerts.rules.terms import Terms
from dagy_console.alerts.rules.usual import USUAL
from dagy_console.alerts.rules.why import why
from dagy_console.alerts.search import RULES
from dagy_console.core.errors import Invalid, PermissionDenied
from dagy_console.core.http import ConsoleRequest, render_page
from dagy_console.core.permissions import Permission
from dagy_console.core.times import parse_time
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
    form = RuleForm(request.POST if request.method == "POST" else None, actor=request.actor, asked=request.GET.dict())
    if form.is_valid():
        try:
            terms = Terms(**form.terms())
            made = services.create_rule(actor=request.actor, org_id=form.cleaned_data["org_id"], terms=terms)
        except (Invalid, PermissionDenied) as error:
            form.refuse(error)
        else:
            messages.success(request, "The rule is watching.")
            return redirect("rules:rule", made.pk)
    return render_page(
        request, "alerts/rule.html", _new_context(form, request.GET.get("usual", "")), status=_status(form)
    )


def _new_context(form: RuleForm, usual: str = "") -> dict[str, Any]:
    return {"nav": "alerts", "form": form, "rule": None, "usual": USUAL, "chosen": usual}


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
    return render_page(request, "alerts/rule.html", _context(request, found, form), status=_status(form))


def _status(form: RuleForm) -> int:
    return 422 if form.errors else 200


def _context(request: ConsoleRequest, found: Rule, form: RuleForm) -> dict[str, Any]:
    rows = firings.visible_to(request.actor).filter(rule=found).order_by("-since", "-id")[:SHOWN]
    return {
        "nav": "alerts",
        "form": form,
        "rule": presenting.rule_row(found),
        "may_write": request.actor.can(Permission.NOTIFICATIONS_WRITE, org_id=found.org_id),
        "alerts": [alert_row(row) for row in rows],
    }


@require_POST
def preview_rule(request: ConsoleRequest) -> HttpResponse:
    """Of a form that is being filled in; without htmx the form comes back with it."""
    request.actor.require_somewhere(Permission.NOTIFICATIONS_WRITE)
    form = RuleForm(request.POST, actor=request.actor)
    return _previewed(request, form, _new_context(form), kept=None)


@require_POST
def preview_change(request: ConsoleRequest, rule_id: uuid.UUID) -> HttpResponse:
    found = selectors.get_rule(request.actor, rule_id, Permission.NOTIFICATIONS_WRITE)
    form = RuleForm(request.POST, actor=request.actor, rule=found)
    return _previewed(request, form, _context(request, found, form), kept=found)


def _previewed(request: ConsoleRequest, form: RuleForm, context: dict[str, Any], *, kept: Rule | None) -> HttpResponse:
    form.forgive_name()
    if form.is_valid():
        org_id = kept.org_id if kept else form.cleaned_data["org_id"]
        told = form.terms() | ({"measure": kept.measure} if kept else {})
        try:
            found = previewing.preview_rule(actor=request.actor, org_id=org_id, terms=Terms(**told))
        except (Invalid, PermissionDenied) as error:
            form.refuse(error)
        else:
            context["preview"] = presenting.preview_view(found)
    return render_page(request, "alerts/rule.html", context, part="preview")


@require_safe
def history(request: ConsoleRequest, rule_id: uuid.UUID) -> HttpResponse:
    """What it watched in the last days: its page asks for it when it is there."""
    found = selectors.get_rule(request.actor, rule_id)
    context = {"nav": "alerts", "rule": presenting.rule_row(found)}
    try:
        context["preview"] = presenting.preview_view(previewing.preview(found))
    except Invalid as error:
        context["problem"] = error.detail
    return render_page(request, "alerts/history.html", context, part="history")


@require_safe
def why_rule(request: ConsoleRequest, rule_id: uuid.UUID) -> HttpResponse:
    """Why it did or did not tell at some moment."""
    found = selectors.get_rule(request.actor, rule_id)
    context: dict[str, Any] = {"nav": "alerts", "rule": presenting.rule_row(found), "at": request.GET.get("at", "")}
    try:
        moment = parse_time(context["at"] or "-0s")
        context |= {"moment": moment, "reasons": presenting.reasons_rows(why(found, moment))}
    except (ValueError, Invalid) as error:
        context["problem"] = str(error)
    return render_page(request, "alerts/why.html", context, status=422 if "problem" in context else 200)


@require_POST
def delete_rule(request: ConsoleRequest, rule_id: uuid.UUID) -> HttpResponse:
    services.delete_rule(actor=request.actor, rule_id=rule_id)
    messages.success(request, "The rule was deleted, with its alerts.")
    return redirect("rules:list")

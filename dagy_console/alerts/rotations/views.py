"""The pages of rotations: the list, a new one, one with who is on call in the next weeks, its form, its overrides."""

import uuid
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from dagy_console.alerts.models import Rotation
from dagy_console.alerts.rotations import presenting, selectors, services
from dagy_console.alerts.rotations.forms import OverrideForm, RotationForm
from dagy_console.alerts.rotations.terms import Terms
from dagy_console.alerts.search import ROTATIONS
from dagy_console.core.errors import Conflict, Invalid, PermissionDenied
from dagy_console.core.http import ConsoleRequest, render_page
from dagy_console.core.permissions import Permission
from dagy_console.listing.page import search_page


@require_safe
def rotations(request: ConsoleRequest) -> HttpResponse:
    context = {"nav": "alerts", "may_write": request.actor.can_somewhere(Permission.NOTIFICATIONS_WRITE)}
    return search_page(
        request,
        ROTATIONS,
        "alerts/rotations.html",
        selectors.visible_to(request.actor),
        row=presenting.rotation_row,
        draw=selectors.with_turns,
        context=context,
    )


@require_http_methods(["GET", "HEAD", "POST"])
def new_rotation(request: ConsoleRequest) -> HttpResponse:
    request.actor.require_somewhere(Permission.NOTIFICATIONS_WRITE)
    form = RotationForm(request.POST if request.method == "POST" else None, actor=request.actor)
    if form.is_valid():
        org_id, terms = form.cleaned_data["org_id"], Terms(**form.terms())
        try:
            made = services.create_rotation(actor=request.actor, org_id=org_id, terms=terms)
        except (Invalid, PermissionDenied) as error:
            form.refuse(error)
        else:
            messages.success(request, "The rotation was made. Name it in a rule: whoever is on call is told then.")
            return redirect("rotations:rotation", made.pk)
    return _form_page(request, form, None)


@require_http_methods(["GET", "HEAD", "POST"])
def change_rotation(request: ConsoleRequest, rotation_id: uuid.UUID) -> HttpResponse:
    found = selectors.get_rotation(request.actor, rotation_id, Permission.NOTIFICATIONS_WRITE)
    form = RotationForm(request.POST if request.method == "POST" else None, actor=request.actor, rotation=found)
    if form.is_valid():
        try:
            services.change_rotation(actor=request.actor, rotation_id=found.pk, **form.changes())
        except Invalid as error:
            form.refuse(error)
        else:
            messages.success(request, "The rotation was changed.")
            return redirect("rotations:rotation", found.pk)
    return _form_page(request, form, found)


def _form_page(request: ConsoleRequest, form: RotationForm, found: Rotation | None) -> HttpResponse:
    context = {"nav": "alerts", "form": form, "rotation": presenting.rotation_row(found) if found else None}
    return render_page(request, "alerts/rotation_form.html", context, status=422 if form.errors else 200)


@require_safe
def rotation(request: ConsoleRequest, rotation_id: uuid.UUID) -> HttpResponse:
    found = selectors.get_rotation(request.actor, rotation_id)
    form = OverrideForm(actor=request.actor, rotation=found)
    return render_page(request, "alerts/rotation.html", _context(request, found, form))


def _context(request: ConsoleRequest, found: Rotation, form: OverrideForm) -> dict[str, Any]:
    return {
        "nav": "alerts",
        "rotation": presenting.rotation_row(found),
        "turns": presenting.turn_rows(found),
        "shifts": presenting.shift_rows(found),
        "overrides": presenting.override_rows(found),
        "rules": presenting.rule_links(list(selectors.rules_of(found))),
        "form": form,
        "may_write": request.actor.can(Permission.NOTIFICATIONS_WRITE, org_id=found.org_id),
    }


@require_POST
def create_override(request: ConsoleRequest, rotation_id: uuid.UUID) -> HttpResponse:
    found = selectors.get_rotation(request.actor, rotation_id, Permission.NOTIFICATIONS_WRITE)
    form = OverrideForm(request.POST, actor=request.actor, rotation=found)
    if form.is_valid():
        try:
            services.create_override(actor=request.actor, rotation_id=found.pk, **form.cleaned_data)
        except Invalid as error:
            form.refuse(error)
        else:
            messages.success(request, "They are on call for that time.")
            return redirect("rotations:rotation", found.pk)
    return render_page(request, "alerts/rotation.html", _context(request, found, form), status=422)


@require_POST
def end_override(request: ConsoleRequest, rotation_id: uuid.UUID, override_id: uuid.UUID) -> HttpResponse:
    try:
        services.end_override(actor=request.actor, rotation_id=rotation_id, override_id=override_id)
    except Conflict as error:
        messages.info(request, error.detail)
    else:
        messages.success(request, "It is ended: whose turn it is is on call.")
    return redirect("rotations:rotation", rotation_id)


@require_POST
def delete_rotation(request: ConsoleRequest, rotation_id: uuid.UUID) -> HttpResponse:
    try:
        services.delete_rotation(actor=request.actor, rotation_id=rotation_id)
    except Conflict as error:
        messages.error(request, error.detail)
        return redirect("rotations:rotation", rotation_id)
    messages.success(request, "The rotation was deleted.")
    return redirect("rotations:list")

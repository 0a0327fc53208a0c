"""The pages of schedules: the list, a new one, one with its next times, and its end."""

import uuid

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from dagy_console.core.errors import Conflict, Invalid
from dagy_console.core.http import ConsoleRequest, render_page
from dagy_console.core.permissions import Permission
from dagy_console.listing.page import search_page
from dagy_console.runs.schedules import presenting, selectors, services
from dagy_console.runs.schedules.forms import ScheduleForm
from dagy_console.runs.search import SCHEDULES


@require_safe
def schedules(request: ConsoleRequest) -> HttpResponse:
    rows = selectors.visible_to(request.actor)
    context = {"nav": "runs", "may_write": request.actor.can_somewhere(Permission.SCHEDULES_WRITE)}
    return search_page(request, SCHEDULES, "schedules/list.html", rows, row=presenting.schedule_row, context=context)


@require_http_methods(["GET", "HEAD", "POST"])
def new_schedule(request: ConsoleRequest) -> HttpResponse:
    """`preview` in the form shows the next times and keeps nothing."""
    request.actor.require_somewhere(Permission.SCHEDULES_WRITE)
    given = request.POST if request.method == "POST" else None
    form = ScheduleForm(given, actor=request.actor, chosen=request.GET.get("flow", ""))
    if form.is_valid() and "preview" not in request.POST:
        flow, told = form.chosen_flow(), form.cleaned_data
        try:
            made = services.create_schedule(
                actor=request.actor,
                org_id=flow.organization_id,
                flow=flow.name,
                expression=told["cron"],
                time_zone=told["time_zone"],
                parameters=told["parameters"],
                catch_up=told["catch_up"],
            )
        except (Invalid, Conflict) as error:
            form.refuse(error)
        else:
            return redirect("schedules:schedule", made.pk)
    return _form(request, form, None)


@require_http_methods(["GET", "HEAD", "POST"])
def schedule(request: ConsoleRequest, schedule_id: uuid.UUID) -> HttpResponse:
    found = selectors.get_schedule(request.actor, schedule_id)
    may_write = request.actor.can(Permission.SCHEDULES_WRITE, org_id=found.organization_id)
    given = request.POST if request.method == "POST" else None
    form = ScheduleForm(given, actor=request.actor, schedule=found)
    if given is None:
        form.show(cron=found.cron, time_zone=found.time_zone, catch_up=found.catch_up, parameters=found.parameters)
    if form.is_valid() and "preview" not in request.POST:
        try:
            services.change_schedule(actor=request.actor, schedule_id=found.pk, **form.cleaned_data)
        except (Invalid, Conflict) as error:
            form.refuse(error)
        else:
            messages.success(request, "The schedule was changed.")
            return redirect("schedules:schedule", found.pk)
    return _form(request, form, presenting.schedule_row(found) | {"may_write": may_write})


def _form(request: ConsoleRequest, form: ScheduleForm, schedule: dict[str, object] | None) -> HttpResponse:
    context = {"nav": "runs", "form": form, "schedule": schedule, "next_times": form.next_times()}
    return render_page(request, "schedules/form.html", context, status=422 if form.errors else 200)


@require_POST
def pause_schedule(request: ConsoleRequest, schedule_id: uuid.UUID) -> HttpResponse:
    """Or resume it, as the form says."""
    services.change_schedule(actor=request.actor, schedule_id=schedule_id, paused=request.POST.get("paused") == "1")
    return redirect("schedules:schedule", schedule_id)


@require_POST
def delete_schedule(request: ConsoleRequest, schedule_id: uuid.UUID) -> HttpResponse:
    services.delete_schedule(actor=request.actor, schedule_id=schedule_id)
    messages.success(request, "The schedule was deleted. The runs that it has started stay.")
    return redirect("schedules:list")

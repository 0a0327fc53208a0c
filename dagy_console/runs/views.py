"""The pages of runs: the list, one run, a new one, and the end of one."""

import uuid

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from dagy_console.core.errors import Conflict, Invalid
from dagy_console.core.http import ConsoleRequest, render_page
from dagy_console.core.permissions import Permission
from dagy_console.listing.page import search_page
from dagy_console.runs import selectors, stuck
from dagy_console.runs.forms import TriggerForm
from dagy_console.runs.presenting import log_row, run_facts, run_row, stuck_row, task_row
from dagy_console.runs.search import RUNS
from dagy_console.runs.services import cancelling, triggering


@require_safe
def runs(request: ConsoleRequest) -> HttpResponse:
    rows = selectors.runs_visible_to(request.actor)
    context = {"nav": "runs", "may_trigger": request.actor.can_somewhere(Permission.RUNS_TRIGGER)}
    return search_page(request, RUNS, "runs/list.html", rows, row=run_row, context=context)


@require_safe
def stuck_runs(request: ConsoleRequest) -> HttpResponse:
    kinds = [kind for kind in stuck.stuck(selectors.runs_visible_to(request.actor)) if kind.count]
    rows = [stuck_row(kind, request.actor) for kind in kinds]
    return render_page(request, "runs/stuck.html", {"nav": "runs", "kinds": rows})


@require_safe
def run(request: ConsoleRequest, run_id: uuid.UUID) -> HttpResponse:
    """Live while it runs: the part `live` asks for itself until the run has ended."""
    found = selectors.get_run(request.actor, run_id)
    context = {
        "nav": "runs",
        "run": run_facts(found),
        "tasks": [task_row(task_run) for task_run in selectors.tasks_of(found)],
        "log": [log_row(line) for line in selectors.end_of_log(found)],
        "may_cancel": not found.is_final and request.actor.can(Permission.RUNS_CANCEL, org_id=found.organization_id),
    }
    template = "runs/run.html#live" if request.htmx else "runs/run.html"
    return render_page(request, template, context)


@require_http_methods(["GET", "HEAD", "POST"])
def new_run(request: ConsoleRequest) -> HttpResponse:
    request.actor.require_somewhere(Permission.RUNS_TRIGGER)
    given = request.POST if request.method == "POST" else None
    form = TriggerForm(given, actor=request.actor, chosen=request.GET.get("flow", ""))
    if form.is_valid():
        flow = form.found[form.cleaned_data["flow"]]
        try:
            started = triggering.trigger(
                actor=request.actor,
                org_id=flow.organization_id,
                flow=flow.name,
                parameters=form.cleaned_data["parameters"],
                via="console",
            )
        except (Invalid, Conflict) as error:
            form.refuse(error)
        else:
            return redirect("runs:run", started.pk)
    return render_page(request, "runs/new.html", {"nav": "runs", "form": form}, status=422 if form.errors else 200)


@require_POST
def cancel_run(request: ConsoleRequest, run_id: uuid.UUID) -> HttpResponse:
    try:
        cancelling.cancel(actor=request.actor, run_id=run_id)
    except Conflict as error:
        messages.info(request, error.detail)
    if request.POST.get("from") == "stuck":
        return redirect("runs:stuck")
    return redirect("runs:run", run_id)

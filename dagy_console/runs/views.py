"""The pages of runs: the list, a new one, one with its tasks, log, graph and artifacts, and its end."""

import uuid
from collections.abc import Iterator
from typing import Any

from django.contrib import messages
from django.http import HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_GET, require_http_methods, require_POST, require_safe

from dagy_console.audit.serializers import entry_row
from dagy_console.core import artifacts
from dagy_console.core.errors import Conflict, Invalid, NotFound
from dagy_console.core.forms import add_errors
from dagy_console.core.http import ConsoleRequest, refuse_other_sites, render_page
from dagy_console.core.permissions import Permission
from dagy_console.core.visible import visible
from dagy_console.core.words import counted
from dagy_console.listing.page import search_page
from dagy_console.runs import comparing, logs, selectors, stuck
from dagy_console.runs import presenting as shown
from dagy_console.runs.drawing import graph
from dagy_console.runs.forms import LogForm, ManyForm, TriggerForm
from dagy_console.runs.models import Run, TaskRun, artifact_key
from dagy_console.runs.registry import links_of
from dagy_console.runs.search import RUNS
from dagy_console.runs.serializers import log_line_text
from dagy_console.runs.services import cancelling, downloading, many, triggering

# So many tasks, artifacts and lines of a log stand on one page.
TASKS_SHOWN, ARTIFACTS_SHOWN, LINES_SHOWN = 60, 10, 300
PREVIEWED_BYTES = 100_000
GRAPH_TASKS = 2_000


@require_safe
def runs(request: ConsoleRequest) -> HttpResponse:
    rows = selectors.runs_visible_to(request.actor)
    may = {"may_trigger": Permission.RUNS_TRIGGER, "may_read_secrets": Permission.SECRETS_READ}
    context = {"nav": "runs"} | {name: request.actor.can_somewhere(permission) for name, permission in may.items()}
    return search_page(request, RUNS, "runs/list.html", rows, row=shown.run_row, context=context)


@require_safe
def stuck_runs(request: ConsoleRequest) -> HttpResponse:
    kinds = [kind for kind in stuck.stuck(selectors.runs_visible_to(request.actor)) if kind.count]
    rows = [shown.stuck_row(kind, request.actor) for kind in kinds]
    return render_page(request, "runs/stuck.html", {"nav": "runs", "kinds": rows})


@require_safe
def run(request: ConsoleRequest, run_id: uuid.UUID) -> HttpResponse:
    """Live while it runs: the part `live` asks for itself until the run has ended."""
    found = selectors.get_run(request.actor, run_id)
    counts = selectors.counts_of_tasks(found)
    state = request.GET.get("state", "") if request.GET.get("state", "").upper() in counts else ""
    limit = None if "all" in request.GET else TASKS_SHOWN
    tasks = selectors.worst_tasks(found, state=state.upper(), limit=limit)
    kept = selectors.artifacts_of(found)
    total = counts.get(state.upper(), 0) if state else sum(counts.values())
    context = _head(request, found, "overview") | {
        "facts": shown.run_facts(found),
        "failure": shown.failure_box(found, counts, logs.line_of_failure(found) if found.failure else None),
        "state": state,
        "states": shown.state_links(found, counts, state),
        "tasks": shown.task_rows(found, tasks),
        "tasks_left": total - len(tasks),
        "axis": shown.axis(found),
        "retries": [shown.run_row(retry) for retry in selectors.retries_of(request.actor, found)],
        "links": links_of(request.actor, found),
        "changes": [entry_row(entry) for entry in selectors.changes_before(request.actor, found)],
        "compared": comparing.last_success(found),
        "artifacts": [shown.artifact_row(found, *one) for one in kept[:ARTIFACTS_SHOWN]],
        "artifacts_left": max(0, len(kept) - ARTIFACTS_SHOWN),
    }
    return render_page(request, "runs/run.html", context, part="live")


def _head(request: ConsoleRequest, run: Run, tab: str) -> dict[str, Any]:
    return {"nav": "runs", "run": shown.run_head(run, request.actor), "tab": tab}


@require_safe
def run_log(request: ConsoleRequest, run_id: uuid.UUID) -> HttpResponse:
    """From its end, or at a line. While the run goes on, the part `more` asks for what comes."""
    found = selectors.get_run(request.actor, run_id)
    form = LogForm(request.GET)
    context = _head(request, found, "log") | {"form": form, "last": 0}
    following = form.cleaned_data["follow"] if form.is_valid() else None
    if following is not None and request.htmx:
        return _what_came(request, found, form.query, following, context)
    context["task_ids"] = selectors.ids_of_tasks(found)
    if not form.is_valid():
        return render_page(request, "runs/log.html", context, status=422)
    query, line = form.query, form.cleaned_data["line"]
    window = form.window(found, LINES_SHOWN)
    context |= shown.log_links(found, query, window, logs.first_error(found))
    context["lines"] = shown.log_rows(found, query, window.lines, marked=line)
    return render_page(request, "runs/log.html", context)


def _what_came(
    request: ConsoleRequest, run: Run, query: logs.LogQuery, since: int, context: dict[str, Any]
) -> HttpResponse:
    window = logs.after(run, query, since, LINES_SHOWN)
    if not window.lines and not run.is_final:
        return HttpResponse(status=204)
    last = window.lines[-1].sequence if window.lines else since
    context |= {
        "lines": shown.log_rows(run, query, window.lines),
        "follow_url": "" if run.is_final and not window.has_newer else shown.log_url(run, query, follow=str(last)),
    }
    return render_page(request, "runs/log.html", context, part="more")


@require_safe
def log_text(request: ConsoleRequest, run_id: uuid.UUID) -> Any:
    """The whole log, or all of it that the page shows: what is filtered is downloaded filtered."""
    found = selectors.get_run(request.actor, run_id)
    form = LogForm(request.GET)
    if not form.is_valid():
        raise Invalid("The log can't be read so.", errors=form.errors_by_field())

    def pieces() -> Iterator[str]:
        for lines in logs.whole(found, form.query):
            yield "".join(map(log_line_text, lines))

    response = StreamingHttpResponse(pieces(), content_type="text/plain; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{found.pk}.log"'
    return response


@require_safe
def run_graph(request: ConsoleRequest, run_id: uuid.UUID) -> HttpResponse:
    found = selectors.get_run(request.actor, run_id)
    drawn = shown.graph_context(found, graph(list(selectors.tasks_of(found)[:GRAPH_TASKS])))
    return render_page(request, "runs/graph.html", _head(request, found, "graph") | {"graph": drawn})


@require_safe
def run_changes(request: ConsoleRequest, run_id: uuid.UUID) -> HttpResponse:
    """The code of this run against that of the last one that succeeded."""
    found = selectors.get_run(request.actor, run_id)
    context = _head(request, found, "changes") | {"compared": comparing.with_code(found)}
    return render_page(request, "runs/changes.html", context)


@require_safe
def run_task(request: ConsoleRequest, run_id: uuid.UUID) -> HttpResponse:
    """By `id` in the query: what a run's process calls its tasks may not stand in a path."""
    found = selectors.get_run(request.actor, run_id)
    task = selectors.get_task(found, request.GET.get("id", ""))
    context = _head(request, found, "overview") | {
        "task": shown.task_rows(found, [task])[0],
        "attempts": shown.attempt_rows(task),
        "log_url": shown.log_url(found, logs.LogQuery(task.task_id)),
        "artifacts": [shown.artifact_row(found, task, kept) for kept in task.artifacts],
    }
    return render_page(request, "runs/task.html", context)


@require_safe
def artifact(request: ConsoleRequest, run_id: uuid.UUID) -> HttpResponse:
    found = selectors.get_run(request.actor, run_id)
    task_id, name = request.GET.get("task", ""), request.GET.get("name", "")
    kept = selectors.get_artifact(found, task_id, name)
    data = artifacts.read(artifact_key(found, task_id, name))
    text = _as_text(data)
    context = _head(request, found, "overview") | {
        "artifact": shown.artifact_row(found, TaskRun(task_id=task_id), kept),
        "text": visible(text[:PREVIEWED_BYTES]) if text is not None else None,
        "is_cut": text is not None and len(text) > PREVIEWED_BYTES,
    }
    return render_page(request, "runs/artifact.html", context)


def _as_text(data: bytes) -> str | None:
    try:
        return None if b"\0" in data else data.decode()
    except UnicodeDecodeError:
        return None


@require_GET
def download_artifact(request: ConsoleRequest, run_id: uuid.UUID) -> HttpResponse:
    """To the presigned link; on record."""
    refuse_other_sites(request)
    task_id, name = request.GET.get("task", ""), request.GET.get("name", "")
    link = downloading.start_download(actor=request.actor, run_id=run_id, task_id=task_id, name=name)
    return redirect(link.url)


@require_http_methods(["GET", "HEAD", "POST"])
def new_run(request: ConsoleRequest) -> HttpResponse:
    request.actor.require_somewhere(Permission.RUNS_TRIGGER)
    given = request.POST if request.method == "POST" else None
    form = TriggerForm(given, actor=request.actor, chosen=request.GET.get("flow", ""))
    if form.is_valid():
        flow = form.chosen_flow()
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


@require_POST
def retry_run(request: ConsoleRequest, run_id: uuid.UUID) -> HttpResponse:
    try:
        started = triggering.retry(
            actor=request.actor, run_id=run_id, from_failure="from_failure" in request.POST, via="console"
        )
    except Conflict as error:
        messages.error(request, error.detail)
        return redirect("runs:run", run_id)
    return redirect("runs:run", started.pk)


@require_http_methods(["GET", "HEAD", "POST"])
def many_runs(request: ConsoleRequest, deed: str) -> HttpResponse:
    """All that match a search: what would be done, and then that."""
    chosen = many.DEEDS.get(deed)
    if chosen is None:
        raise NotFound("There is no such deed.")
    request.actor.require_somewhere(chosen.permission)
    form = ManyForm(request.POST if request.method == "POST" else {"expected_count": 0, **request.GET.dict()})
    query = form.cleaned_data["q"] if form.is_valid() or "q" in form.cleaned_data else RUNS.query()
    if request.method == "POST" and form.is_valid():
        try:
            done = chosen.act(actor=request.actor, query=query, expected_count=form.cleaned_data["expected_count"])
        except (Invalid, Conflict) as error:
            add_errors(form, error)
        else:
            messages.success(request, f"{chosen.past} {counted(done, 'run')}.")
            return redirect(query.url)
    context = shown.many_context(chosen, query, chosen.rows(request.actor, query), most=many.MOST)
    context |= {"nav": "runs", "form": form}
    return render_page(request, "runs/many.html", context, status=422 if form.errors else 200)

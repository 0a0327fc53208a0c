"""Runs as the pages show them."""

import json
from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import urlencode

from django.db.models import Count, QuerySet
from django.urls import reverse
from django.utils import timezone

from dagy_console.audit.masking import masked
from dagy_console.core import words
from dagy_console.core.actors import Actor
from dagy_console.core.permissions import Permission
from dagy_console.core.visible import visible
from dagy_console.listing.language import Query
from dagy_console.runs.ansi import coloured
from dagy_console.runs.drawing import Graph, Span
from dagy_console.runs.logs import LogQuery, Window
from dagy_console.runs.models import LOCAL, LogLine, Run, TaskRun
from dagy_console.runs.queueing import why_it_waits
from dagy_console.runs.stuck import Stuck

_LONGEST_SHOWN = 4_000
# The order in which states are told of, and how a sentence says what a failure led to.
_STATES = ("FAILED", "TIMED_OUT", "RUNNING", "CANCELLED", "SKIPPED", "PENDING", "SUCCEEDED")


def run_row(run: Run, query: Query | None = None) -> dict[str, Any]:
    """One row of the list."""
    failure = run.failure or {}
    return {
        "url": reverse("runs:run", args=[run.pk]),
        "id": str(run.pk),
        "flow": visible(run.flow.name),
        "org_id": run.organization_id,
        "status": run.status.lower(),
        "created_at": run.created_at,
        "duration": _duration(run),
        "version": run.version,
        "is_local": run.trigger == LOCAL,
        "task_count": run.task_count,
        "succeeded_count": run.succeeded_count,
        "left_count": run.task_count - run.succeeded_count,
        "failed_task": visible(failure.get("task_id") or ""),
        "reason": visible(run.reason),
        "summary": visible(_summary(run)),
    }


def _summary(run: Run) -> str:
    """In a line: what failed first says more than that something did."""
    if not run.failure:
        return run.reason
    parts = (
        run.failure.get("task_id"),
        run.failure.get("error_type"),
        run.failure.get("message", "").partition("\n")[0],
    )
    return ": ".join(part for part in parts if part)[:300]


def run_head(run: Run, actor: Actor) -> dict[str, Any]:
    """What stands above each page of a run."""
    return run_row(run) | {
        "pk": run.pk,
        "is_final": run.is_final,
        "log_lines": run.log_lines,
        "may_retry": run.is_final
        and run.trigger != LOCAL
        and actor.can(Permission.RUNS_TRIGGER, org_id=run.organization_id),
        "may_cancel": not run.is_final and actor.can(Permission.RUNS_CANCEL, org_id=run.organization_id),
    }


def run_facts(run: Run) -> dict[str, Any]:
    """What the page of one run says of it, beside its head."""
    return {
        "waits": visible(why_it_waits(run)),
        "started_at": run.started_at,
        "ended_at": run.ended_at,
        "triggered_by": visible(run.triggered_by),
        "trigger": run.trigger,
        "worker": visible(run.worker),
        "entrypoint": visible(run.deployment.entrypoint if run.deployment else ""),
        "label": visible(run.deployment.label if run.deployment else ""),
        "executions": run.executions,
        "retry_of": reverse("runs:run", args=[run.retry_of_id]) if run.retry_of_id else "",
        "reuses_outputs": run.reuses_outputs,
        "parameters": json.dumps(masked(run.parameters) or {}, ensure_ascii=False, indent=2),
    }


def failure_box(run: Run, counts: dict[str, int], line: int | None) -> dict[str, Any] | None:
    """The first failure, what it led to, and where the log tells of it."""
    if not run.failure:
        return None
    led_to = [
        f"{words.counted(counts[state], 'task')} {said}"
        for state, said in (("SKIPPED", "skipped because of it"), ("CANCELLED", "cancelled with the run"))
        if counts.get(state)
    ]
    task_id = run.failure.get("task_id")
    return {
        **run.failure,
        "led_to": " and ".join(led_to),
        "log_url": log_url(run, line=line) if line else "",
        "task_url": task_url(run, task_id) if task_id else "",
    }


def state_links(run: Run, counts: dict[str, int], chosen: str) -> list[dict[str, Any]]:
    """How many tasks are in each state, each a link to these alone."""
    page = reverse("runs:run", args=[run.pk])
    found = [(state.lower(), counts[state]) for state in _STATES if counts.get(state)]
    links = [
        {"state": state, "count": count, "url": f"{page}?state={state}#tasks", "chosen": state == chosen}
        for state, count in found
    ]
    everything = {"state": "", "count": sum(counts.values()), "url": f"{page}#tasks", "chosen": not chosen}
    return [everything, *links] if len(links) > 1 or chosen else []


def task_rows(run: Run, tasks: Iterable[TaskRun]) -> list[dict[str, Any]]:
    """Tasks with the times of their attempts."""
    span = span_of(run)
    return [task_row(run, task) | {"bars": span.bars(task) if span else []} for task in tasks]


def span_of(run: Run) -> Span | None:
    return Span(run.started_at, run.ended_at or timezone.now()) if run.started_at else None


def axis(run: Run) -> list[str]:
    """The times under a timeline: its beginning, quarters and end."""
    span = span_of(run)
    return [took(span.seconds * part / 4) for part in range(5)] if span else []


def task_row(run: Run, task_run: TaskRun) -> dict[str, Any]:
    seconds = task_run.duration_seconds
    return {
        "url": task_url(run, task_run.task_id),
        "task_id": visible(task_run.task_id),
        "status": task_run.status.lower(),
        "duration": took(seconds) if seconds is not None else "",
        "attempts": len(task_run.attempts),
        "depends_on": ", ".join(map(visible, task_run.depends_on[:20])),
        "error_type": visible(task_run.error_type),
        "reason": visible(task_run.reason),
    }


def attempt_rows(task_run: TaskRun) -> list[dict[str, Any]]:
    """The attempts of a task, as far as they have the form that is known, the last one first."""
    rows = []
    for attempt in reversed(task_run.attempts):
        error = attempt.get("error") if isinstance(attempt.get("error"), dict) else {}
        seconds = attempt.get("duration_seconds")
        rows.append(
            {
                "number": attempt.get("number"),
                "status": str(attempt.get("status", "")).lower(),
                "duration": took(seconds) if isinstance(seconds, (int, float)) else "",
                "error_type": visible(str(error.get("type", ""))),
                "message": visible(str(error.get("message", ""))),
                "traceback": visible(str(error.get("traceback", ""))),
            }
        )
    return rows


def artifact_row(run: Run, task_run: TaskRun, kept: dict[str, Any]) -> dict[str, Any]:
    place = urlencode({"task": task_run.task_id, "name": kept["name"]})
    size = kept.get("size_bytes")
    return {
        "url": f"{reverse('runs:artifact', args=[run.pk])}?{place}",
        "download_url": f"{reverse('runs:artifact-download', args=[run.pk])}?{place}",
        "task_id": visible(task_run.task_id),
        "name": visible(kept["name"]),
        "size": size if isinstance(size, int) else None,
        "content_type": visible(str(kept.get("content_type") or "")),
    }


def _said(states: dict[str, int]) -> str:
    """One word for one task, counts for many."""
    if sum(states.values()) == 1:
        return "".join(map(words.state, states))
    return ", ".join(f"{count:,} {words.state(state)}" for state, count in states.items())


def graph_context(run: Run, graph: Graph) -> dict[str, Any]:
    """The boxes of a graph with their words and links."""
    page = reverse("runs:run", args=[run.pk])
    boxes = [
        {
            "x": box.x,
            "y": box.y,
            "label": visible(box.label),
            "state": box.state,
            "said": _said(box.states),
            "url": task_url(run, box.task_ids[0]) if len(box.task_ids) == 1 else f"{page}?state={box.state}#tasks",
        }
        for box in graph.boxes
    ]
    curves = [f"M{x1} {y1}C{x1 + 24} {y1} {x2 - 24} {y2} {x2} {y2}" for x1, y1, x2, y2 in graph.edges]
    return {
        "boxes": boxes,
        "edges": "".join(curves),
        "width": graph.width,
        "height": graph.height,
        "box_width": graph.box_width,
        "box_height": graph.box_height,
    }


def stuck_row(kind: Stuck, actor: Actor) -> dict[str, Any]:
    """One kind of stuck runs, with the first of them."""
    rows = [run_head(run, actor) | {"worker": visible(run.worker)} for run in kind.runs]
    return {"kind": kind.kind, "title": kind.title, "advice": kind.advice, "count": kind.count, "rows": rows}


def many_context(deed: Any, query: Query, rows: QuerySet[Run], *, most: int) -> dict[str, Any]:
    """What would be done to the runs of a search."""
    counts = list(rows.order_by().values_list("status").annotate(count=Count("pk")))
    count = min(sum(number for _, number in counts), most + 1)
    return {
        "deed": deed,
        "query_text": query.text,
        "back_url": query.url,
        "count": count,
        "is_too_many": count > most,
        "states": [(status.lower(), number) for status, number in counts],
        "rows": [run_row(run) for run in rows.order_by("-created_at", "-pk")[:10]],
    }


def log_rows(run: Run, query: LogQuery, lines: Sequence[LogLine], *, marked: int | None = None) -> list[dict[str, Any]]:
    tasks = {line.task_id for line in lines}
    urls = {task: log_url(run, LogQuery(task or "-", query.level, query.q)) for task in tasks}
    return [
        {
            "sequence": line.sequence,
            "time": f"{line.time:%H:%M:%S.%f}"[:-3],
            "level": line.level,
            "tone": line.level.lower(),
            "task_id": visible(line.task_id) or "run",
            "task_url": urls[line.task_id],
            "url": log_url(run, query, line=line.sequence),
            "html": coloured(line.message[:_LONGEST_SHOWN]),
            "cut": max(0, len(line.message) - _LONGEST_SHOWN),
            "is_marked": line.sequence == marked,
        }
        for line in lines
    ]


def log_links(run: Run, query: LogQuery, window: Window, first_error: int | None) -> dict[str, Any]:
    """From a window of the log to the rest of it. `follow_url` asks for what comes, where anything may."""
    first, last = (window.lines[0].sequence, window.lines[-1].sequence) if window.lines else (0, 0)
    return {
        "last": last,
        "older_url": log_url(run, query, before=first) if window.has_older else "",
        "newer_url": log_url(run, query, after=last) if window.has_newer else "",
        "start_url": log_url(run, query, after="0"),
        "end_url": log_url(run, query),
        "error_url": log_url(run, line=first_error) if first_error else "",
        "text_url": log_url(run, query).replace("/log/", "/log.txt", 1),
        "follow_url": "" if run.is_final or window.has_newer else log_url(run, query, follow=str(last)),
    }


def log_url(run: Run, query: LogQuery | None = None, *, line: int | None = None, **place: Any) -> str:
    """The log's page, of these lines; at a line, or at another place of it."""
    given = {"task": query.task_id, "level": query.level, "q": query.q} if query else {}
    said = {name: value for name, value in (given | place | {"line": line}).items() if value not in (None, "")}
    url = reverse("runs:log", args=[run.pk])
    return f"{url}{'?' + urlencode(said) if said else ''}{f'#L{line}' if line else ''}"


def task_url(run: Run, task_id: str) -> str:
    return f"{reverse('runs:task', args=[run.pk])}?{urlencode({'id': task_id})}"


def _duration(run: Run) -> str:
    if run.started_at is None:
        return ""
    return took(((run.ended_at or timezone.now()) - run.started_at).total_seconds())


def took(seconds: float) -> str:
    """To the millisecond below a second: most tasks are quick."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    return f"{seconds:.1f} s" if seconds < 60 else words.duration(seconds)

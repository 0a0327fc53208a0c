"""Runs as the pages show them."""

import json
from typing import Any

from django.urls import reverse
from django.utils import timezone

from dagy_console.audit.masking import masked
from dagy_console.core.actors import Actor
from dagy_console.core.permissions import Permission
from dagy_console.core.visible import visible
from dagy_console.core.words import duration
from dagy_console.listing.language import Query
from dagy_console.runs.models import LogLine, Run, TaskRun
from dagy_console.runs.stuck import Stuck


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
        "version": run.deployment.version,
        "task_count": run.task_count,
        "succeeded_count": run.succeeded_count,
        "failed_task": visible(failure.get("task_id") or ""),
        "reason": visible(run.reason),
    }


def run_facts(run: Run) -> dict[str, Any]:
    """What the page of one run says above its tasks and its log."""
    return run_row(run) | {
        "pk": run.pk,
        "is_final": run.is_final,
        "started_at": run.started_at,
        "ended_at": run.ended_at,
        "triggered_by": visible(run.triggered_by),
        "trigger": run.trigger,
        "worker": visible(run.worker),
        "entrypoint": visible(run.deployment.entrypoint),
        "label": visible(run.deployment.label),
        "parameters": json.dumps(masked(run.parameters) or {}, ensure_ascii=False, indent=2),
        "failure": run.failure,
        "log_lines": run.log_lines,
    }


def stuck_row(kind: Stuck, actor: Actor) -> dict[str, Any]:
    """One kind of stuck runs, with the first of them."""
    rows = [
        run_row(run)
        | {
            "pk": run.pk,
            "worker": visible(run.worker),
            "may_cancel": actor.can(Permission.RUNS_CANCEL, org_id=run.organization_id),
        }
        for run in kind.runs
    ]
    return {"kind": kind.kind, "title": kind.title, "advice": kind.advice, "count": kind.count, "rows": rows}


def task_row(task_run: TaskRun) -> dict[str, Any]:
    seconds = task_run.duration_seconds
    return {
        "task_id": visible(task_run.task_id),
        "status": task_run.status.lower(),
        "duration": _took(seconds) if seconds is not None else "",
        "attempts": len(task_run.attempts),
        "depends_on": ", ".join(map(visible, task_run.depends_on)),
        "error_type": visible(task_run.error_type),
        "reason": visible(task_run.reason),
    }


def log_row(line: LogLine) -> dict[str, Any]:
    return {
        "sequence": line.sequence,
        "time": f"{line.time:%H:%M:%S.%f}"[:-3],
        "level": line.level,
        "task_id": visible(line.task_id) or "–",
        "message": visible(line.message),
    }


def _duration(run: Run) -> str:
    if run.started_at is None:
        return ""
    return _took(((run.ended_at or timezone.now()) - run.started_at).total_seconds())


def _took(seconds: float) -> str:
    """To the millisecond below a second: most tasks are quick."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    return f"{seconds:.1f} s" if seconds < 60 else duration(seconds)

"""Flows, deployments, runs and their logs as JSON."""

from datetime import datetime
from typing import Any

from dagy.records import log_line
from dagy_console.audit.masking import masked
from dagy_console.core.times import to_rfc3339
from dagy_console.runs.models import Deployment, Flow, LogLine, Run, TaskRun
from dagy_console.runs.stuck import Stuck


def flow_out(flow: Flow) -> dict[str, Any]:
    return {
        "id": str(flow.pk),
        "name": flow.name,
        "org_id": flow.organization_id,
        "created_at": to_rfc3339(flow.created_at),
        "latest_version": flow.latest.version if flow.latest else None,
    }


def flow_detail_out(flow: Flow) -> dict[str, Any]:
    return flow_out(flow) | {"latest": deployment_out(flow.latest) if flow.latest else None}


def deployment_out(deployment: Deployment) -> dict[str, Any]:
    return {
        "id": str(deployment.pk),
        "org_id": deployment.organization_id,
        "flow_id": str(deployment.flow_id),
        "flow": deployment.flow.name,
        "version": deployment.version,
        "label": deployment.label,
        "entrypoint": deployment.entrypoint,
        "sha256": deployment.sha256,
        "size_bytes": deployment.size_bytes,
        "on_worker_lost": deployment.on_worker_lost,
        "queue": deployment.queue,
        "concurrency_limit": deployment.concurrency_limit,
        "graph": deployment.graph,
        "created_by": deployment.created_by,
        "created_at": to_rfc3339(deployment.created_at),
    }


def run_out(run: Run) -> dict[str, Any]:
    return {
        "id": str(run.pk),
        "org_id": run.organization_id,
        "flow": run.flow.name,
        "flow_id": str(run.flow_id),
        "version": run.version,
        "status": run.status,
        "reason": run.reason or None,
        "queue": run.queue,
        "trigger": run.trigger,
        "triggered_by": run.triggered_by,
        "parameters": masked(run.parameters) or {},
        "created_at": to_rfc3339(run.created_at),
        "started_at": _time(run.started_at),
        "ended_at": _time(run.ended_at),
        "duration_seconds": _seconds(run),
        "error_type": run.error_type or None,
        "failure": run.failure,
        "log_lines": run.log_lines,
        "task_count": run.task_count,
        "succeeded_count": run.succeeded_count,
        "executions": run.executions,
        "retry_of": str(run.retry_of_id) if run.retry_of_id else None,
        "reuses_outputs": run.reuses_outputs,
    }


def run_detail_out(run: Run) -> dict[str, Any]:
    return run_out(run) | {
        "task_runs": [task_run_out(task_run) for task_run in run.task_runs.order_by("position")],
    }


def stuck_out(kind: Stuck) -> dict[str, Any]:
    runs = [run_out(run) for run in kind.runs]
    return {"kind": kind.kind, "advice": kind.advice, "count": kind.count, "runs": runs}


def task_run_out(task_run: TaskRun) -> dict[str, Any]:
    return {
        "task_id": task_run.task_id,
        "name": task_run.name,
        "status": task_run.status,
        "depends_on": task_run.depends_on,
        "attempts": task_run.attempts,
        "started_at": _time(task_run.started_at),
        "ended_at": _time(task_run.ended_at),
        "duration_seconds": task_run.duration_seconds,
        "error_type": task_run.error_type or None,
        "reason": task_run.reason or None,
        "artifacts": task_run.artifacts,
    }


def artifact_out(task_run: TaskRun, kept: dict[str, Any]) -> dict[str, Any]:
    size, content_type = kept.get("size_bytes"), kept.get("content_type")
    return {
        "task_id": task_run.task_id,
        "name": kept["name"],
        "size_bytes": size if isinstance(size, int) else None,
        "content_type": content_type if isinstance(content_type, str) else None,
    }


def log_line_out(line: LogLine) -> dict[str, Any]:
    return {
        "sequence": line.sequence,
        "time": to_rfc3339(line.time),
        "level": line.level,
        "task_id": line.task_id or None,
        "message": line.message,
    }


def log_line_text(line: LogLine) -> str:
    """As the SDK writes it in a local run's log."""
    return log_line(to_rfc3339(line.time), line.level, line.task_id or None, line.message) + "\n"


def _time(when: datetime | None) -> str | None:
    return to_rfc3339(when) if when else None


def _seconds(run: Run) -> float | None:
    return (run.ended_at - run.started_at).total_seconds() if run.started_at and run.ended_at else None

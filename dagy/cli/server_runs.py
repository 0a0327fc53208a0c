"""The server's runs in the shape of local ones, so that the same commands print them."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from dagy.cli.exits import UsageError
from dagy.client import Conflict, DagyClient
from dagy.errors import RunNotFound
from dagy.local.index import RunLine
from dagy.local.reading import LoggedEntry
from dagy.records import SCHEMA_VERSION

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dagy.client import Failure, LogLine, Run
    from dagy.records import FailureRecord, RunRecord


class ServerRuns:
    where = "server"

    def __init__(self) -> None:
        self._client = DagyClient()

    def listing(self, *, status: str | None, flow: str | None, limit: int) -> list[RunLine]:
        runs = self._client.runs(status=status, flow=flow, limit=min(limit, 200))
        return [_line(run) for run in islice(runs, limit)]

    def find(self, text: str | None) -> str:
        if text not in (None, "latest"):
            return str(text)
        latest = next(self._client.runs(limit=1), None)
        if latest is None:
            raise RunNotFound(f"There are no runs on {self._client.api_url}: start one with `dagy trigger FLOW`.")
        return latest.id

    def record(self, run_id: str) -> RunRecord:
        return _record(self._client.run(run_id))

    def log(self, run_id: str, task_id: str | None, level: str | None, *, follow: bool) -> Iterator[LoggedEntry]:
        ask = self._client.follow if follow else self._client.logs
        return (_entry(line) for line in ask(run_id, task_id=task_id, level=level))

    def cancel(self, run_id: str, reason: str | None) -> str:
        try:
            return self._client.cancel(run_id, reason=reason).status
        except Conflict as error:
            raise UsageError(str(error)) from None


def _line(run: Run) -> RunLine:
    tasks = run.task_runs
    return RunLine(
        run_id=run.id,
        flow=run.flow,
        status=run.status,
        started_at=run.started_at or str(run.raw.get("created_at") or ""),
        duration_seconds=run.duration_seconds,
        tasks=int(run.raw.get("task_count") or len(tasks)),
        succeeded=int(run.raw.get("succeeded_count") or sum(task.status == "SUCCEEDED" for task in tasks)),
        failed_task=run.failure.task_id if run.failure else None,
        reason=run.reason,
    )


def _record(run: Run) -> RunRecord:
    return {
        "schema_version": SCHEMA_VERSION,
        "run_id": run.id,
        "flow": {"name": run.flow, "version": run.raw.get("version"), "source": None},
        "status": run.status,
        "reason": run.reason,
        "trigger": run.trigger or "",
        "parameters": run.parameters,
        "started_at": run.started_at or "",
        "ended_at": run.ended_at,
        "duration_seconds": run.duration_seconds,
        "options": {"max_workers": 0, "fail_fast": True},
        "process": {"pid": 0, "host": "", "python": "", "dagy": ""},
        "failure": _failure(run.failure) if run.failure else None,
        "tasks": [
            {
                "task_id": task.task_id,
                "name": task.name,
                "depends_on": task.depends_on,
                "status": task.status,
                "attempts": task.attempts,
                "started_at": task.started_at,
                "ended_at": task.ended_at,
                "duration_seconds": task.duration_seconds,
                "error_type": task.error_type,
                "reason": task.reason,
            }
            for task in run.task_runs
        ],
    }


def _failure(failure: Failure) -> FailureRecord:
    return {
        "task_id": failure.task_id,
        "attempt": failure.attempt,
        "error_type": failure.error_type,
        "message": failure.message,
        "traceback": failure.traceback,
        "advice": failure.advice,
    }


def _entry(line: LogLine) -> LoggedEntry:
    return LoggedEntry(line.time, line.level, line.task_id or "-", line.message)

"""The moments of a run that happen once: it begins, it ends, its worker is found lost. A final state never changes."""

from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from dagy.states import State
from dagy_console.core import leases
from dagy_console.core.times import to_rfc3339
from dagy_console.runs.journal import plain
from dagy_console.runs.models import LogLine, OnWorkerLost, Run, RunStatus

LOST = "WorkerLost"
LOST_ADVICE = (
    "The worker's machine or process was lost: stopped, killed, or out of memory. Look at its own log and at the "
    "machine's memory at that time, then run it again; a deployment can ask for that (on_worker_lost=restart)."
)
MAX_EXECUTIONS = 3


def begin(mine: Any, *, worker: str) -> bool:
    """False where it does not wait any more. `mine` is the run's row under the lease of who asks."""
    waiting = mine.filter(status=RunStatus.QUEUED)
    begun = {"status": RunStatus.RUNNING, "reason": "", "started_at": timezone.now(), "worker": worker}
    return bool(waiting.update(**begun, executions=F("executions") + 1))


def finish(
    run: Run, mine: Any, status: RunStatus, *, reason: object = "", failure: dict[str, Any] | None = None
) -> None:
    """Raises Lost where the run is another worker's, or has ended."""
    with transaction.atomic():
        before = leases.locked(mine.only("status", "reason"))
        tasks = run.task_runs
        unfinished = tasks.filter(status__in=[State.RUNNING, State.PENDING])
        unfinished.update(status=State.CANCELLED, reason="the run has ended")
        told = _reason(before, status, str(plain(str(reason or ""))))
        mine.update(
            status=status,
            reason=told[:2000],
            failure=failure,
            error_type=failure["error_type"] if failure else "",
            ended_at=timezone.now(),
            lease_owner=None,
            lease_until=None,
            task_count=tasks.count(),
            succeeded_count=tasks.filter(status=State.SUCCEEDED).count(),
        )


def _reason(before: Run, status: RunStatus, told: str) -> str:
    if before.status != RunStatus.CANCELLING:
        return told
    return before.reason if status == RunStatus.CANCELLED else told or "it had ended before it could be cancelled"


def lost(run: Run, mine: Any) -> bool:
    """Whoever ran it is gone: the lease has run out, and the run has not ended. Whether it waits to be begun again."""
    heard = (
        f", last heard of at {to_rfc3339(run.lease_until - timedelta(seconds=leases.SECONDS))}"
        if run.lease_until
        else ""
    )
    reason = f"worker lost: {run.worker or 'its worker'} ended without saying so{heard}"
    again = run.status == RunStatus.RUNNING and run.deployed.on_worker_lost == OnWorkerLost.RESTART
    if again and run.executions < MAX_EXECUTIONS:
        _begin_again(run, mine, reason)
        return True
    if again:
        reason = f"{reason}. It was begun {run.executions} times"
    if run.status == RunStatus.CANCELLING:
        finish(run, mine, RunStatus.CANCELLED)
        return False
    running = run.task_runs.filter(status=State.RUNNING)
    first = running.order_by("started_at", "position").values_list("task_id", flat=True).first()
    running.update(status=State.FAILED, reason=reason, error_type=LOST)
    finish(run, mine, RunStatus.FAILED, reason=reason, failure=_failure(first, reason))
    return False


def _begin_again(run: Run, mine: Any, reason: str) -> None:
    """From the first task on: what the lost worker's tasks had done is not known. The log goes on."""
    with transaction.atomic():
        line = leases.locked(mine.only("log_lines")).log_lines + 1
        run.task_runs.all().delete()
        LogLine.objects.create(
            run=run,
            sequence=line,
            time=timezone.now(),
            level="WARNING",
            message=f"{reason}. The run begins again, from its first task: as its deployment says.",
        )
        mine.update(status=RunStatus.QUEUED, started_at=None, log_lines=line)
    run.log_lines = line


def _failure(task_id: str | None, reason: str) -> dict[str, Any]:
    return {
        "task_id": task_id,
        "attempt": None,
        "error_type": LOST,
        "message": reason,
        "traceback": "",
        "advice": LOST_ADVICE,
    }

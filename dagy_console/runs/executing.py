"""The worker's side of a run: a child process with the flow's code, whose messages are written down as they come.

A run is claimed by its row's lease. A message of Celery's that comes twice finds the lease held, or the run ended, and
does nothing; one that comes after the worker died finds a run that nobody holds: it is failed as lost, or begun again
where its deployment says so. A worker that can't reach the database holds its child back, and gives up only when
another may have taken the run over.
"""

import os
import platform
import tempfile
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from time import monotonic, sleep
from typing import Any, TypeVar

import structlog
from django.db import InterfaceError, OperationalError, connection, transaction

from dagy.child import Limits, RunRequest
from dagy.engine.words import fate
from dagy_console.accounts.models import Organization
from dagy_console.accounts.selectors import suspensions_of
from dagy_console.core import artifacts, leases
from dagy_console.core.errors import ConsoleError
from dagy_console.runs import bundles, ending, queueing, reusing
from dagy_console.runs.children import Child, started
from dagy_console.runs.journal import Journal, failure_of
from dagy_console.runs.masking import Mask
from dagy_console.runs.models import UNFINISHED_RUNS, OnWorkerLost, Run, RunStatus
from dagy_console.runs.secrets.selectors import values_for_run
from dagy_console.runs.services.triggering import hand_over
from dagy_console.runs.watching import MAX_ARTIFACT_BYTES, Watcher

log = structlog.get_logger(__name__)
T = TypeVar("T")
# Tasks that do not stop are left alone, and end with the process.
TASK_GRACE_SECONDS = 1.5
# A child that hears nothing of its worker ends before another worker can have taken its run over.
SILENCE_SECONDS = leases.SECONDS - 2.0
# How long a run may wait for the database. One that another worker would begin again must not go on for so long.
PATIENCE_SECONDS = 300.0
_AGAIN_SECONDS = 0.5
# How often another worker may be quicker.
_TRIES = 5
_LIMITS: Limits = {"memory_bytes": 4 << 30, "file_bytes": 1 << 30, "open_files": 1024}


def execute(run_id: uuid.UUID) -> None:
    """What a message asks for. Where its run waits, the one that is next in its queue is run: that may be another."""
    asked = Run.objects.filter(pk=run_id, status__in=UNFINISHED_RUNS).only("status", "queue").first()
    if asked is None:
        return
    if asked.status != RunStatus.QUEUED:
        _execute(run_id)
        return
    for _ in range(_TRIES):
        found = queueing.next_run(asked.queue)
        if found is None or _execute(found):
            return


def _execute(run_id: uuid.UUID) -> bool:
    """Run it, where it waits and nobody else does; whether it was run. Never raises for what the run does."""
    rows = Run.objects.filter(pk=run_id, status__in=UNFINISHED_RUNS)
    pulse = _Pulse()
    # Until when its worker held it, before it is held here.
    held_until = rows.values_list("lease_until", flat=True).first()
    with leases.hold(rows, tried=pulse.beat) as token:
        if token is None:
            return False
        mine = rows.filter(lease_owner=token)
        run = mine.select_related("flow__latest", "deployment").first()
        if run is None:
            return False
        run.lease_until = held_until
        with suppress(leases.Lost):
            if not _take_up(run, mine, token, pulse):
                return False
    _pass_on(run)
    return True


def _pass_on(run: Run) -> None:
    """Its place, where its flow has few: to the run that waits for it."""
    following = queueing.next_of_flow(run.flow_id) if run.flow.concurrency_limit else None
    if following is not None:
        hand_over(following)


class _Pulse:
    """Tells the child that its worker lives, as often as the worker renews its lease.

    Where another worker would begin the run again, only a lease that was renewed counts: the child of a worker that
    can't reach the database has ended before the lease has.
    """

    def __init__(self) -> None:
        self.child: Child | None = None
        self.is_strict = False

    def beat(self, renewed: bool) -> None:
        if self.child is not None and (renewed or not self.is_strict):
            self.child.reassure()


def _take_up(run: Run, mine: Any, token: uuid.UUID, pulse: _Pulse) -> bool:
    """Whether it is done with: it has run, or was told of as lost."""
    if run.status != RunStatus.QUEUED and not ending.lost(run, mine):
        return True
    if not _begin(run, mine):
        return False
    journal = Journal(run, token)
    try:
        code = _in_child(run, journal, pulse)
    except (ConsoleError, OSError) as error:  # its bundle can't be had, or no process
        reason = f"it could not be started: {getattr(error, 'detail', error)}"
        ending.finish(run, mine, RunStatus.FAILED, reason=reason)
        return True
    _settle(run, mine, journal, code)
    return True


def _begin(run: Run, mine: Any) -> bool:
    """QUEUED to RUNNING, if it may: a run of a suspended organization waits, and so does one whose flow has no room.

    Suspending locks the organization as well, so a run either sees the suspension, or is seen by it. Two runs of a
    flow do not see the same room.
    """
    with transaction.atomic():
        Organization.objects.select_for_update(no_key=True).get(pk=run.organization_id)
        if suspensions_of([run.organization_id]) or not queueing.has_room(run.flow):
            return False
        return ending.begin(mine, worker=f"{platform.node()}:{os.getpid()}")


def _in_child(run: Run, journal: Journal, pulse: _Pulse) -> int:
    """The child's exit code, once all that it said is written down."""
    bundle = artifacts.read(run.deployed.bundle_key)
    bundles.checked(bundle, run.deployed.sha256, run.deployed.entrypoint)
    with tempfile.TemporaryDirectory(prefix="dagy-reused-") as name:
        secrets = values_for_run(run.organization_id)
        asked = _request(run, reusing.outputs_of(run, Path(name)), secrets)
        with started(bundle, run.deployed.entrypoint, limits=_LIMITS, run=asked) as child:
            pulse.child, pulse.is_strict = child, _restarts(run)
            return Watcher(run, child, journal, Mask(secrets.values()), lambda: _patiently(run, journal.flush)).watch()


def _request(run: Run, reused: dict[str, str], secrets: dict[str, str]) -> RunRequest:
    return {
        "run_id": str(run.pk),
        "trigger": run.trigger,
        "parameters": run.parameters,
        "max_workers": 4,
        "fail_fast": True,
        "grace_seconds": TASK_GRACE_SECONDS,
        "max_artifact_bytes": MAX_ARTIFACT_BYTES,
        "reused_from": str(run.retry_of_id) if run.reuses_outputs else None,
        "reused": reused,
        "secrets": secrets,
        "silence_seconds": SILENCE_SECONDS,
    }


def _restarts(run: Run) -> bool:
    return run.deployed.on_worker_lost == OnWorkerLost.RESTART


def _patiently(run: Run, act: Callable[[], T]) -> T:
    """Again, while the database does not answer: nothing that a run has said is lost by a restart of the database."""
    deadline = monotonic() + (SILENCE_SECONDS if _restarts(run) else PATIENCE_SECONDS)
    while True:
        try:
            return act()
        except (OperationalError, InterfaceError) as error:
            connection.close()
            if monotonic() > deadline:
                raise
            log.warning("run.database_gone", run=str(run.pk), error=str(error))
        sleep(_AGAIN_SECONDS)


def _settle(run: Run, mine: Any, journal: Journal, code: int) -> None:
    told = journal.last or {}
    status, reason, failure = told.get("status"), told.get("reason"), failure_of(told.get("failure"))
    if status not in ("SUCCEEDED", "FAILED", "CANCELLED"):
        end = fate(code) if code < 0 else f"{fate(code)} and without a last word"
        journal.log(f"The run's process {end}.", level="ERROR")
        asked = _patiently(run, journal.flush) == RunStatus.CANCELLING
        status, reason, failure = "CANCELLED" if asked else "FAILED", f"its process {end}", None
    _patiently(run, lambda: ending.finish(run, mine, RunStatus(status), reason=reason, failure=failure))
    log.info("run.ended", run=str(run.pk), status=status)

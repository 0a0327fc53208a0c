"""The worker's side of a run: a child process with the flow's code, whose messages are written down as they come.

A run is claimed by its row's lease. A message of Celery's that comes twice finds the lease held, or the run ended, and
does nothing; one that comes after the worker died finds a run that nobody holds, and says so.
"""

import json
import os
import platform
import selectors
import signal
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import Any

import structlog
from django.conf import settings
from django.utils import timezone

from dagy_console.core import leases, storage
from dagy_console.core.errors import ConsoleError
from dagy_console.runs import bundles
from dagy_console.runs.children import started
from dagy_console.runs.journal import Journal, failure_of, plain
from dagy_console.runs.models import UNFINISHED_RUNS, Run, RunStatus

log = structlog.get_logger(__name__)
# What ignores SIGTERM is killed after the first; tasks that do not stop are left alone, and end with the process, after
# the second.
GRACE_SECONDS, TASK_GRACE_SECONDS = 5.0, 1.5
FLUSH_SECONDS = 0.25
MAX_ARTIFACT_BYTES = 5_242_880
_MAX_LINE = 8 << 20
_LIMITS = {"memory_bytes": 4 << 30, "file_bytes": 1 << 30, "open_files": 1024}


def execute(run_id: uuid.UUID) -> None:
    """Run it, where it waits and nobody else does. Never raises for what the run does."""
    rows = Run.objects.filter(pk=run_id, status__in=UNFINISHED_RUNS)
    with leases.hold(rows) as token:
        if token is None:
            return
        mine = rows.filter(lease_owner=token)
        run = mine.select_related("flow", "deployment").first()
        if run is None:
            return
        with suppress(leases.Lost):
            _run(run, mine, token)


def _run(run: Run, mine: Any, token: uuid.UUID) -> None:
    if run.status != RunStatus.QUEUED:
        _settle_lost(run, mine)
        return
    worker = f"{platform.node()}:{os.getpid()}"
    if not mine.filter(status=RunStatus.QUEUED).update(
        status=RunStatus.RUNNING, started_at=timezone.now(), worker=worker
    ):
        return
    journal = Journal(run, token)
    try:
        with tempfile.TemporaryDirectory(prefix="dagy-run-") as name:
            code = _in_child(run, journal, Path(name))
    except ConsoleError as error:  # its bundle can't be had
        _end(run, mine, journal, RunStatus.FAILED, reason=error.detail)
        return
    _settle(run, mine, journal, code)


def _in_child(run: Run, journal: Journal, directory: Path) -> int:
    """The child's exit code, once all that it said is written down."""
    code, spool, home = directory / "code", directory / "spool", directory / "home"
    for made in (code, spool, home):
        made.mkdir()
    bundle = storage.get_object(settings.ARTIFACTS_BUCKET, run.deployment.bundle_key).body
    bundles.checked(bundle, run.deployment.sha256, run.deployment.entrypoint)
    bundles.unpack(bundle, code)
    request = {
        "mode": "run",
        "code": str(code),
        "entrypoint": run.deployment.entrypoint,
        "parameters": run.parameters,
        "run_id": str(run.pk),
        "trigger": run.trigger,
        "spool": str(spool),
        "max_workers": 4,
        "fail_fast": True,
        "grace_seconds": TASK_GRACE_SECONDS,
        "max_artifact_bytes": MAX_ARTIFACT_BYTES,
        "limits": _LIMITS,
    }
    with started(request, home=home) as (process, messages):
        reader = _Reader(run, journal, process, spool)
        for line in reader.lines(messages):
            reader.take(line)
        try:
            return process.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:  # it has closed its pipe, and goes on: it is ended with the block
            return -signal.SIGKILL


class _Reader:
    """Takes the child's lines, flushes them several times a second, and passes a cancellation on."""

    def __init__(self, run: Run, journal: Journal, process: subprocess.Popen[bytes], spool: Path) -> None:
        self._run = run
        self._journal = journal
        self._process = process
        self._spool = spool
        self._flushed = monotonic()
        self._killed_at: float | None = None
        self._dead_since: float | None = None

    def lines(self, descriptor: int) -> Iterator[bytes]:
        """Until the child, and all that it has started, have let go of the pipe, or the child is gone for a while."""
        rest = b""
        with selectors.DefaultSelector() as selector:
            selector.register(descriptor, selectors.EVENT_READ)
            while True:
                if selector.select(FLUSH_SECONDS):
                    piece = os.read(descriptor, 1 << 20)
                    if not piece:
                        break
                    *lines, rest = (rest + piece).split(b"\n")
                    yield from lines
                    if len(rest) > _MAX_LINE:
                        rest = b""
                elif self._process.poll() is not None:
                    break
                if self._has_been_dead():
                    break
                self._now_and_then()
        self._journal.flush()

    def take(self, line: bytes) -> None:
        try:
            message = json.loads(line)
        except ValueError:
            return
        if not isinstance(message, dict):
            return
        if message.get("kind") == "stored":
            self._store(message)
        elif message.get("kind") == "refused":
            self._journal.last = {"status": "FAILED", "failure": plain(message), "reason": message.get("message")}
        else:
            self._journal.take(message)
        if self._journal.is_full:
            self._journal.flush()

    def _now_and_then(self) -> None:
        if monotonic() - self._flushed < FLUSH_SECONDS:
            return
        self._flushed = monotonic()
        if self._journal.flush() == RunStatus.CANCELLING:
            self._end()

    def _has_been_dead(self) -> bool:
        """What a child leaves running may write to its pipe for ever: a moment after its end nobody listens."""
        if self._dead_since is None:
            self._dead_since = monotonic() if self._process.poll() is not None else None
            return False
        return monotonic() - self._dead_since > 1

    def _end(self) -> None:
        """SIGTERM, then after the grace time SIGKILL, to the child's whole group."""
        if self._killed_at is None:
            self._killed_at = monotonic()
            _signal(self._process, signal.SIGTERM)
        elif monotonic() - self._killed_at > GRACE_SECONDS:
            _signal(self._process, signal.SIGKILL)

    def _store(self, message: dict[str, Any]) -> None:
        """Only files of the spool, by the names that the run may use for itself."""
        task_id, name = str(message.get("task_id"))[:100], str(message.get("name"))[:200]
        path = self._spool / Path(str(message.get("path"))).name
        if "/" in task_id + name or path.is_symlink() or not path.is_file() or path.stat().st_size > MAX_ARTIFACT_BYTES:
            return
        key = f"artifacts/{self._run.organization_id}/{self._run.pk}/{task_id}/{name}"
        try:
            storage.put_object(
                settings.ARTIFACTS_BUCKET,
                key,
                path.read_bytes(),
                metadata={},
                content_type=str(message.get("content_type"))[:100].encode("ascii", "ignore").decode(),
            )
        except ConsoleError as error:
            self._journal.log(f"{name!r} could not be kept: {error.detail}", level="ERROR", task_id=task_id)
        path.unlink(missing_ok=True)


def _settle(run: Run, mine: Any, journal: Journal, code: int) -> None:
    told = journal.last or {}
    status = told.get("status")
    if status in (RunStatus.SUCCEEDED, RunStatus.FAILED, RunStatus.CANCELLED):
        _end(run, mine, journal, status, reason=told.get("reason"), failure=failure_of(told.get("failure")))
        return
    asked = mine.filter(status=RunStatus.CANCELLING).exists()
    fate = _fate(code)
    journal.log(f"The run's process {fate}.", level="ERROR")
    journal.flush()
    _end(run, mine, journal, RunStatus.CANCELLED if asked else RunStatus.FAILED, reason=f"its process {fate}")


def _settle_lost(run: Run, mine: Any) -> None:
    """Whoever ran it before is gone: the lease has run out, and the run has not ended."""
    status = RunStatus.CANCELLED if run.status == RunStatus.CANCELLING else RunStatus.FAILED
    seen = f", last heard of at {run.lease_until:%H:%M:%S} UTC" if run.lease_until else ""
    reason = f"worker lost: {run.worker or 'its worker'} ended without saying so{seen}"
    mine.update(status=status, reason=reason, error_type="WorkerLost", ended_at=timezone.now())
    run.task_runs.filter(status="RUNNING").update(status="FAILED", reason=reason)
    run.task_runs.filter(status="PENDING").update(status="CANCELLED", reason="the run's worker was lost")


def _end(
    run: Run,
    mine: Any,
    journal: Journal,
    status: str,
    *,
    reason: object = "",
    failure: dict[str, Any] | None = None,
) -> None:
    """A final state is written once: a run that has one is no longer among `mine`."""
    journal.flush()
    kept = mine.values_list("reason", flat=True).first() if status == RunStatus.CANCELLED else ""
    mine.update(
        status=status,
        reason=str(plain(kept or str(reason or "")))[:2000],
        failure=failure,
        error_type=failure["error_type"] if failure else "",
        ended_at=timezone.now(),
        task_count=run.task_runs.count(),
        succeeded_count=run.task_runs.filter(status="SUCCEEDED").count(),
    )
    run.task_runs.filter(status__in=["RUNNING", "PENDING"]).update(status="CANCELLED", reason="the run has ended")
    log.info("run.ended", run=str(run.pk), status=status)


def _fate(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code} and without a last word"
    name = signal.Signals(-code).name
    return f"was ended by {name}{', likely because memory ran out' if name == 'SIGKILL' else ''}"


def _signal(process: subprocess.Popen[bytes], number: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)

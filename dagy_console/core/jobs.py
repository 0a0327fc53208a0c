"""Long work that outlives its request and its worker: deletions, exports, rebuilds.

A job is a row. Whoever asks for it hands it over by name, after the commit; one task of Celery's queue `jobs` runs it
under the row's lease. Where the message is lost, the worker dies or a server is away, beat finds the job unfinished and
unheld, and hands it over again. An app registers its kind of job in its apps.py.
"""

import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import structlog
from celery import current_app
from django.db import DatabaseError, InterfaceError, OperationalError, models, transaction
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from dagy import capture
from dagy_console.core import leases
from dagy_console.core.actors import Actor
from dagy_console.core.errors import Conflict, ConsoleError

log = structlog.get_logger(__name__)
QUEUE = "jobs"
RESUME_SECONDS = 5
# The rate is told over this long; marks are set no denser than the second figure. Both in seconds.
PACE_SECONDS, MARK_SECONDS = 60, 3


class JobState(models.TextChoices):
    QUEUED = "queued"
    RUNNING = "running"
    CANCELLING = "cancelling"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


UNFINISHED = (JobState.QUEUED, JobState.RUNNING, JobState.CANCELLING)


class Job(leases.Leased):
    """What every kind of job has. A kind says what is `done`, and of how many (`total`)."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    state = models.CharField(max_length=20, choices=JobState.choices, default=JobState.QUEUED)
    # When it came into its state.
    since = models.DateTimeField(default=timezone.now)
    problem = models.TextField(blank=True)
    # Since when it cannot go on for a server that does not answer.
    waiting_since = models.DateTimeField(null=True)
    # Who asked, as `Actor.described()` says it.
    actor = models.JSONField()
    # [seconds since 1970, done by then] of the last minute, oldest first.
    pace = models.JSONField(default=list)
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        abstract = True

    @property
    def done(self) -> int:
        raise NotImplementedError

    @property
    def total(self) -> int:
        raise NotImplementedError

    @property
    def asker(self) -> Actor:
        """Who asked for the job: its end is recorded as theirs, wherever it runs."""
        return Actor.from_description(self.actor)

    @property
    def created_by(self) -> str:
        return str(self.actor["email"])

    @property
    def is_final(self) -> bool:
        return self.state not in UNFINISHED

    @property
    def percent(self) -> int:
        done = self.total if self.state == JobState.SUCCEEDED else self.done
        return min(100, 100 * done // self.total) if self.total else 100

    @property
    def rate(self) -> float:
        """Done a second: over the last minute while it runs, over all its time once it has ended."""
        if self.started_at is None:
            return 0.0
        marks = [] if self.is_final else self.pace
        since, before = marks[0] if marks else (self.started_at.timestamp(), 0)
        seconds = (self.finished_at or timezone.now()).timestamp() - since
        return max(0, self.done - before) / seconds if seconds > 0 else 0.0

    @property
    def eta(self) -> timedelta | None:
        """The time left at this rate; None where nothing can be said."""
        if self.is_final or self.waiting_since or not self.rate:
            return None
        return timedelta(seconds=max(0, self.total - self.done) / self.rate)


class Later(Exception):
    """Raised by a kind's `run`: the job cannot go on now, nothing is lost, and it is tried again in some seconds.

    `reason` is a sentence for people: who does not answer.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Kind:
    """`run` works on the one row that it is given, held by a lease, and returns what went wrong, or "". `ended` is
    called in the transaction that ends the job, with the job and its snapshot of before: it writes the audit entry."""

    model: type[Any]
    run: Callable[[QuerySet[Any]], str]
    ended: Callable[[Any, Mapping[str, object]], None]


_kinds: dict[str, Kind] = {}


def register(
    name: str,
    *,
    model: type[Any],
    run: Callable[[QuerySet[Any]], str],
    ended: Callable[[Any, Mapping[str, object]], None],
) -> None:
    """Make a kind of job known. `model` is a Job with a method `snapshot()` for the audit log."""
    _kinds[name] = Kind(model, run, ended)


def hand_over(name: str, job_id: uuid.UUID) -> None:
    """To a worker, once it is committed. Where the broker is down, the job waits until beat finds it."""
    transaction.on_commit(lambda: _send(name, job_id), robust=True)


def resume() -> None:
    """Hand over the jobs that nobody works on: those whose message was lost, whose worker died, and those that wait."""
    for name in _kinds:
        for job_id in unheld(name):
            # The next round asks again: what no worker has taken by then is not needed any more.
            _send(name, job_id, expires=RESUME_SECONDS)


def unheld(name: str) -> list[uuid.UUID]:
    """The unfinished jobs of a kind that nobody works on, oldest first."""
    jobs = _kinds[name].model.objects.filter(leases.free(), state__in=UNFINISHED)
    return list(jobs.order_by("created_at").values_list("id", flat=True))


def _send(name: str, job_id: uuid.UUID, **options: Any) -> None:
    current_app.send_task("core.run_job", [name, str(job_id)], queue=QUEUE, retry=False, **options)


def run(
    name: str,
    job_id: uuid.UUID,
    *,
    taken: uuid.UUID | None = None,
    work: Callable[[QuerySet[Any]], str] | None = None,
) -> None:
    """Work the job to its end, or for as long as that is possible now. Does nothing where it has ended or is held.

    `taken` is the token of a lease that was written with the row; `work` stands in for the kind's `run`. Raises
    OperationalError and InterfaceError where the database goes away: the job is resumed.
    """
    kind = _kinds[name]
    with leases.hold(kind.model.objects.filter(id=job_id, state__in=UNFINISHED), taken=taken) as token:
        if token is None:
            return
        try:
            _work(kind, kind.model.objects.filter(id=job_id, lease_owner=token), work or kind.run)
        except leases.Lost:
            log.warning("job.lease_lost", kind=name, job=str(job_id))


def _work(kind: Kind, held: QuerySet[Any], work: Callable[[QuerySet[Any]], str]) -> None:
    held.filter(state=JobState.QUEUED).update(state=JobState.RUNNING, since=Now())
    held.filter(started_at=None).update(started_at=Now())
    try:
        problem = work(held)
    except Later as later:
        _wait(held, later)
        return
    except ConsoleError as error:
        problem = error.detail
    except Exception as error:  # noqa: BLE001 - a job that cannot go on must end, and say so
        problem = explained(error)
    finish(kind, held, problem)


def explained(error: Exception) -> str:
    """What ended a job, in words; raises it again where another try may go better, or the job is another worker's."""
    if isinstance(error, leases.Lost | Later | OperationalError | InterfaceError):
        raise error
    trace = capture.capture_exception(error)
    if isinstance(error, DatabaseError):
        return f"PostgreSQL refused what was to be written ({type(error).__name__}); recorded as {trace}."
    return f"It was stopped by an error of the console itself, recorded as {trace}."


def _wait(held: QuerySet[Any], later: Later) -> None:
    held.filter(waiting_since=None).update(waiting_since=Now())
    since = leases.held(held).waiting_since
    held.update(problem=f"Waiting since {since:%H:%M:%S} UTC, and going on by itself: {later.reason}")


@transaction.atomic
def finish(kind: Kind, held: QuerySet[Any], problem: str) -> None:
    """End the job: cancelled where that was asked for, else failed where there is a problem. Raises leases.Lost."""
    job = leases.locked(held)
    before = job.snapshot()
    cancelled = job.state == JobState.CANCELLING
    ended = JobState.FAILED if problem else JobState.SUCCEEDED
    job.state = JobState.CANCELLED if cancelled else ended
    job.problem = problem
    job.finished_at = job.since = timezone.now()
    job.waiting_since = job.lease_owner = job.lease_until = None
    job.save(update_fields=["state", "problem", "finished_at", "since", "waiting_since", "lease_owner", "lease_until"])
    kind.ended(job, before)


@transaction.atomic
def cancel(job: Any) -> bool:
    """Ask the job to stop, and renew it from the database; false where that was asked before. One that nobody has begun
    ends at once. Raises Conflict where it has ended."""
    row = type(job).objects.filter(id=job.id)
    ended = row.filter(leases.free(), state=JobState.QUEUED).update(
        state=JobState.CANCELLED, since=Now(), finished_at=Now()
    )
    going = (JobState.QUEUED, JobState.RUNNING)
    asked = ended or row.filter(state__in=going).update(state=JobState.CANCELLING, since=Now())
    job.refresh_from_db()
    if not asked and job.is_final:
        raise Conflict(f"This job has ended already ({job.state}).")
    return bool(asked)


def marked(job: Job, done: int) -> list[list[float]]:
    """The job's `pace` when `done` are done now."""
    now = time.time()
    marks: list[list[float]] = job.pace or ([[job.started_at.timestamp(), 0]] if job.started_at else [])
    recent = [mark for mark in marks if now - mark[0] <= PACE_SECONDS] or marks[-1:]
    return [*recent, [now, done]] if not recent or now - recent[-1][0] >= MARK_SECONDS else recent

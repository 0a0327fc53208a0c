"""Bulk deletion: planned, confirmed by count, then done in batches by a worker that may die at any point.

A job's set is frozen: what matched the query and was in the index at its `cutoff`. Later traces are not touched.
Each batch is written down, deleted in S3 and then, in one transaction, taken out of the index, counted, crossed off.
After a crash the batches that are still written down are asked for again, which S3 does not mind; then what is left.
"""

import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, as_completed, wait
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

import structlog
from django.db import DatabaseError, transaction
from django.db.models import F, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from dagy import capture
from dagy_console.audit.actions import Action, Outcome
from dagy_console.audit.recorder import record
from dagy_console.core import leases, storage
from dagy_console.core.actors import Actor, ActorKind, Origin
from dagy_console.core.database import database_time
from dagy_console.core.errors import Conflict, ConsoleError, Invalid, Unavailable
from dagy_console.core.permissions import Permission
from dagy_console.exceptions import selectors, tasks
from dagy_console.exceptions.bucket import traces_bucket
from dagy_console.exceptions.models import UNFINISHED, DeletionBatch, DeletionError, DeletionJob, DeletionState, Trace
from dagy_console.exceptions.search import TraceQuery

log = structlog.get_logger(__name__)
BATCH = storage.MAX_KEYS_A_DELETE
SMALLEST_BATCH = 100
# Deletions that run at the same time, over all workers.
MOST_AT_ONCE = 2
THREADS = 4
# A server that is away for a minute is waited for; then the job ends and says how far it came.
RETRY_AFTER_SECONDS = (1, 2, 4, 8, 16, 30)


class CountChanged(Conflict):
    title = "The count has changed"

    def __init__(self, *, expected: int, actual: int) -> None:
        super().__init__(
            f"You confirmed {expected:,} traces, and now {actual:,} match. Nothing was deleted; look again."
        )


class LeaseLost(Exception):
    """Another worker has taken the job over: stop without writing anything."""


@dataclass(frozen=True, slots=True)
class KeysDeleted:
    """The verdict on each key that was asked for."""

    deleted: list[str]
    errors: list[storage.FailedKey]


def start_confirmed(
    *, actor: Actor, query: TraceQuery | None, keys: Sequence[str], cutoff: datetime, expected_count: int
) -> DeletionJob:
    """What the confirmation page starts: a query's deletion, or (`query` None) that of the selected keys."""
    if query is None:
        return start_key_deletion(actor=actor, keys=keys)
    return start_deletion(actor=actor, query=query, cutoff=cutoff, expected_count=expected_count)


def start_deletion(*, actor: Actor, query: TraceQuery, cutoff: datetime, expected_count: int) -> DeletionJob:
    """Queue the deletion of every trace that matches `query` and was in the index at `cutoff`.

    Raises PermissionDenied, Invalid where the cut-off lies ahead, and CountChanged where the match differs from what
    the person confirmed.
    """
    actor.require(Permission.EXCEPTIONS_DELETE)
    if cutoff > database_time():
        raise Invalid.field("cutoff", "the cut-off lies in the future")
    with transaction.atomic():
        matched = selectors.as_of(actor, query, cutoff).count()
        if matched != expected_count:
            raise CountChanged(expected=expected_count, actual=matched)
        job = _create(actor, query=query.text, cutoff=cutoff, matched=matched)
        _hand_over(job)
    return job


def start_key_deletion(*, actor: Actor, keys: Sequence[str]) -> DeletionJob:
    """Queue the deletion of up to 1,000 keys. Raises PermissionDenied, Invalid."""
    actor.require(Permission.EXCEPTIONS_DELETE)
    wanted = _checked(actor, keys)
    with transaction.atomic():
        job = _create(actor, keys=wanted, cutoff=database_time(), matched=len(wanted))
        _hand_over(job)
    return job


def delete_keys(*, actor: Actor, keys: Sequence[str]) -> KeysDeleted:
    """Delete up to 1,000 keys now. A key that is gone counts as deleted; one that is none of a trace is an error.

    Raises PermissionDenied, Invalid (none, or too many keys), Unavailable where S3 could not be asked at all.
    """
    actor.require(Permission.EXCEPTIONS_DELETE)
    traces_bucket()
    distinct = _distinct(keys)
    problems = selectors.problems_with_keys(actor, distinct)
    refused = [storage.FailedKey(key, "InvalidKey", problem) for key, problem in problems.items()]
    good = [key for key in distinct if key not in problems]
    if not good:
        return KeysDeleted([], refused)
    # Held from its first moment, so that no worker takes it between its creation and its execution.
    token = uuid.uuid4()
    job = _create(actor, keys=good, cutoff=database_time(), matched=len(good), token=token)
    run_deletion(job.id, retry_after=(), taken=token)
    job.refresh_from_db()
    if not job.is_final:
        raise Unavailable(f"The deletion goes on in the background as job {job.id}: look there for its end.")
    failed = [storage.FailedKey(error.key, error.code, error.message) for error in job.errors.order_by("id")]
    if job.problem and not failed:
        raise Unavailable(job.problem)
    left = {error.key for error in failed}
    return KeysDeleted([key for key in good if key not in left], [*refused, *failed])


@transaction.atomic
def cancel_deletion(*, actor: Actor, job_id: uuid.UUID) -> DeletionJob:
    """Stop after the batch that is running. What was deleted stays deleted. Raises Conflict where it has ended."""
    actor.require(Permission.EXCEPTIONS_DELETE)
    job = selectors.get_deletion(actor, job_id)
    before = job.snapshot()
    waiting = DeletionJob.objects.filter(id=job_id)
    stopped = waiting.filter(leases.free(), state=DeletionState.QUEUED).update(
        state=DeletionState.CANCELLED, finished_at=Now()
    )
    going = (DeletionState.QUEUED, DeletionState.RUNNING)
    asked = stopped or waiting.filter(state__in=going).update(state=DeletionState.CANCELLING)
    job.refresh_from_db()
    if asked:
        _record(Action.DELETION_CANCELLED, job, actor=actor, before=before)
    elif job.is_final:
        raise Conflict(f"This deletion has ended already ({job.state}).")
    return job


def unfinished_deletions() -> list[uuid.UUID]:
    """Jobs that nobody is working on: new ones whose message was lost, and those of workers that died."""
    return list(DeletionJob.objects.filter(leases.free(), state__in=UNFINISHED).values_list("id", flat=True))


def run_next(job_id: uuid.UUID) -> None:
    """A worker's turn at the job: now, or later where enough deletions run, for other work needs workers too."""
    running = DeletionJob.objects.filter(state__in=UNFINISHED).exclude(leases.free())
    if running.count() < MOST_AT_ONCE:
        run_deletion(job_id)


def run_deletion(
    job_id: uuid.UUID, *, retry_after: Sequence[float] = RETRY_AFTER_SECONDS, taken: uuid.UUID | None = None
) -> None:
    """Work the job to its end. Does nothing where it has ended or another worker holds it."""
    mine = DeletionJob.objects.filter(id=job_id, state__in=UNFINISHED)
    with leases.hold(mine, taken=taken) as token:
        if token is None:
            return
        try:
            _work(DeletionJob.objects.filter(id=job_id, lease_owner=token), retry_after)
        except LeaseLost:
            log.warning("deletion.lease_lost", job=str(job_id))


def _work(held: QuerySet[DeletionJob], retry_after: Sequence[float]) -> None:
    held.filter(state=DeletionState.QUEUED).update(state=DeletionState.RUNNING)
    held.filter(started_at=None).update(started_at=Now())
    problem = ""
    try:
        for batch, outcome in _outcomes(held, retry_after):
            _settle(held, batch, outcome)
            if not outcome.deleted and all(error.code == "AccessDenied" for error in outcome.errors):
                held.filter(state=DeletionState.RUNNING).update(state=DeletionState.CANCELLING)
                problem = outcome.errors[0].message
    except ConsoleError as error:
        problem = error.detail
    except (LeaseLost, DatabaseError):
        raise  # somebody else goes on when the lease ends
    except Exception as error:  # noqa: BLE001 - a job that cannot go on must end, and say so
        problem = f"It was stopped by an error of the console itself, recorded as {capture.capture_exception(error)}."
    _finish(held, problem)


def _outcomes(
    held: QuerySet[DeletionJob], retry_after: Sequence[float]
) -> Iterator[tuple[DeletionBatch, storage.DeleteOutcome]]:
    """What became of each batch, as they end, several under way at once.

    No more begin once the job is to stop, or a request has failed for good; that error is raised at the end, when the
    batches that were under way are accounted for.
    """
    errors: list[BaseException] = []
    under_way: dict[Future[storage.DeleteOutcome], DeletionBatch] = {}
    with ThreadPoolExecutor(THREADS, thread_name_prefix="deletion") as pool:
        for batch in _batches(held.get()):
            if errors or not held.filter(state=DeletionState.RUNNING).exists():
                break
            under_way[pool.submit(_delete_batch, batch.keys, retry_after)] = batch
            if len(under_way) == THREADS:
                yield from _ended(under_way, wait(under_way, return_when=FIRST_COMPLETED).done, errors)
        yield from _ended(under_way, as_completed(list(under_way)), errors)
    if errors:
        raise errors[0]


def _ended(
    under_way: dict[Future[storage.DeleteOutcome], DeletionBatch],
    done: Iterable[Future[storage.DeleteOutcome]],
    errors: list[BaseException],
) -> Iterator[tuple[DeletionBatch, storage.DeleteOutcome]]:
    for future in done:
        batch = under_way.pop(future)
        if error := future.exception():
            errors.append(error)
        else:
            yield batch, future.result()


def _batches(job: DeletionJob) -> Iterator[DeletionBatch]:
    """What a worker that died left under way, then the keys still to do, oldest first."""
    left = list(job.batches.order_by("id"))
    yield from left
    asked = {key for batch in left for key in batch.keys}
    if job.keys is not None:
        if not left and not job.deleted and not job.failed:
            yield job.batches.create(keys=job.keys)
        return
    for keys in _pages(job):
        if keys := [key for key in keys if key not in asked]:
            yield job.batches.create(keys=keys)


def _pages(job: DeletionJob) -> Iterator[list[str]]:
    """The keys of the job's set that are left in the index, up to 1,000 at a time."""
    rows = selectors.frozen(job).order_by("timestamp", "key")
    size = _batch_size(job.matched)
    last: tuple[datetime, str] | None = None
    while True:
        left = rows if last is None else selectors.after(rows, *last)
        found = list(left.values_list("timestamp", "key")[:size])
        if not found:
            return
        last = found[-1]
        yield [key for _, key in found]


def _batch_size(matched: int) -> int:
    """1,000, the most that S3 takes; less for a small job, so that its progress can be seen."""
    return min(BATCH, max(SMALLEST_BATCH, matched // 20))


def _delete_batch(batch: list[str], retry_after: Sequence[float]) -> storage.DeleteOutcome:
    for seconds in retry_after:
        try:
            return storage.delete_objects(traces_bucket(), batch)
        except storage.StorageUnavailable:
            time.sleep(seconds)
    return storage.delete_objects(traces_bucket(), batch)


@transaction.atomic
def _settle(held: QuerySet[DeletionJob], batch: DeletionBatch, outcome: storage.DeleteOutcome) -> None:
    """Index, errors and progress of one batch, all or nothing."""
    job = held.select_for_update().first()
    if job is None:
        raise LeaseLost
    Trace.objects.filter(key__in=outcome.deleted).delete()
    job.errors.filter(key__in=outcome.deleted).delete()
    DeletionError.objects.bulk_create(
        [DeletionError(job=job, key=error.key, code=error.code, message=error.message) for error in outcome.errors],
        update_conflicts=True,
        unique_fields=["job", "key"],
        update_fields=["code", "message"],
    )
    batch.delete()
    held.update(deleted=F("deleted") + len(outcome.deleted), failed=job.errors.count())


@transaction.atomic
def _finish(held: QuerySet[DeletionJob], problem: str) -> None:
    job = held.select_for_update().first()
    if job is None:
        raise LeaseLost
    before = job.snapshot()
    job.problem = problem or (f"{job.failed:,} traces could not be deleted." if job.failed else "")
    if job.problem:
        job.state = DeletionState.FAILED
    elif job.state == DeletionState.CANCELLING:
        job.state = DeletionState.CANCELLED
    else:
        job.state = DeletionState.SUCCEEDED
    job.finished_at = timezone.now()
    job.lease_owner = job.lease_until = None
    job.save(update_fields=["problem", "state", "finished_at", "lease_owner", "lease_until"])
    outcome = Outcome.FAILED if job.state == DeletionState.FAILED else Outcome.SUCCESS
    _record(Action.DELETION_FINISHED, job, actor=_asker(job), before=before, outcome=outcome)


def _create(
    actor: Actor,
    *,
    matched: int,
    cutoff: datetime,
    query: str = "",
    keys: list[str] | None = None,
    token: uuid.UUID | None = None,
) -> DeletionJob:
    with transaction.atomic():
        job = DeletionJob.objects.create(
            query=query, keys=keys, cutoff=cutoff, matched=matched, actor=_description(actor)
        )
        if token:
            now = database_time()
            DeletionJob.objects.filter(id=job.id).update(
                lease_owner=token, lease_until=now + timedelta(seconds=leases.SECONDS)
            )
        existed = {"keys": keys, "in_index": selectors.indexed_keys(actor, keys)} if keys is not None else {}
        _record(Action.DELETION_STARTED, job, actor=actor, more=existed)
    return job


def _hand_over(job: DeletionJob) -> None:
    """To a worker, once it is committed. Where the broker is down the job waits until beat finds it."""
    transaction.on_commit(lambda: tasks.run_deletion.delay(str(job.id)), robust=True)


def _record(
    action: Action,
    job: DeletionJob,
    *,
    actor: Actor,
    before: dict[str, object] | None = None,
    more: Mapping[str, object] | None = None,
    outcome: Outcome = Outcome.SUCCESS,
) -> None:
    record(
        action,
        actor=actor,
        resource_type="deletion",
        resource_id=str(job.id),
        resource_name=job.query or (f"{job.matched:,} keys" if job.keys is not None else "all traces"),
        outcome=outcome,
        before=before,
        after=job.snapshot() | dict(more or {}),
    )


def _description(actor: Actor) -> dict[str, object]:
    return {
        "kind": actor.kind,
        "id": actor.id,
        "email": actor.email,
        "super_admin": actor.super_admin,
        "origin": asdict(actor.origin),
    }


def _asker(job: DeletionJob) -> Actor:
    """Who asked for the job: its end is recorded as theirs, wherever it runs."""
    told = job.actor
    return Actor(
        kind=ActorKind(told["kind"]),
        id=told["id"],
        email=told["email"],
        super_admin=told["super_admin"],
        origin=Origin(**told["origin"]),
    )


def _checked(actor: Actor, keys: Sequence[str]) -> list[str]:
    distinct = _distinct(keys)
    selectors.require_trace_keys(actor, distinct)
    return distinct


def _distinct(keys: Sequence[str]) -> list[str]:
    distinct = list(dict.fromkeys(keys))
    if not distinct:
        raise Invalid.field("keys", "give at least one key")
    if len(distinct) > BATCH:
        raise Invalid.field("keys", f"{len(distinct):,} keys; at most {BATCH:,} at once. Nothing was deleted.")
    return distinct

"""Bulk deletion: planned, confirmed by count, then done in batches by a worker that may die at any point.

A job's set is frozen: what matched the query and was in the index at its `cutoff`. Later traces are not touched.
Each batch is deleted in S3 first and then, in one transaction, taken out of the index and counted; so after a crash the
rows that are left are just those that are still to do, and S3 does not mind deleting a key twice.
"""

import threading
import time
import uuid
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime

import structlog
from django.db import connection, transaction
from django.db.models import F, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from dagy_console.audit.actions import Action, Outcome
from dagy_console.audit.recorder import record
from dagy_console.core import leases, storage
from dagy_console.core.actors import Actor, ActorKind, Origin
from dagy_console.core.errors import Conflict, ConsoleError, Invalid, Unavailable
from dagy_console.core.permissions import Permission
from dagy_console.exceptions import keys as trace_keys
from dagy_console.exceptions import selectors, tasks
from dagy_console.exceptions.models import UNFINISHED, DeletionError, DeletionJob, DeletionState, Trace
from dagy_console.exceptions.search import TraceQuery

log = structlog.get_logger(__name__)
BATCH = storage.MAX_KEYS_A_DELETE
THREADS = 4
LEASE_SECONDS = 15
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
    if cutoff > timezone.now():
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
    wanted = _checked(keys)
    with transaction.atomic():
        job = _create(actor, keys=wanted, cutoff=timezone.now(), matched=len(wanted))
        _hand_over(job)
    return job


def delete_keys(*, actor: Actor, keys: Sequence[str]) -> KeysDeleted:
    """Delete up to 1,000 keys now. A key that is gone counts as deleted; one that is none of a trace is an error.

    Raises PermissionDenied, Invalid (none, or too many keys), Unavailable where S3 could not be asked at all.
    """
    actor.require(Permission.EXCEPTIONS_DELETE)
    storage.traces_bucket()
    distinct = list(dict.fromkeys(keys))
    _check_number(distinct)
    refused = [
        storage.FailedKey(key, "InvalidKey", problem) for key in distinct if (problem := trace_keys.problem_with(key))
    ]
    bad = {error.key for error in refused}
    good = [key for key in distinct if key not in bad]
    if not good:
        return KeysDeleted([], refused)
    job = _create(actor, keys=good, cutoff=timezone.now(), matched=len(good))
    run_deletion(job.id, retry_after=())
    job.refresh_from_db()
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
    asked = stopped or waiting.filter(state__in=UNFINISHED).update(state=DeletionState.CANCELLING)
    if not asked:
        raise Conflict(f"This deletion has ended already ({job.state}).")
    job.refresh_from_db()
    _record(Action.DELETION_CANCELLED, job, actor=actor, before=before)
    return job


def unfinished_deletions() -> list[uuid.UUID]:
    """Jobs that nobody is working on: new ones whose message was lost, and those of workers that died."""
    return list(DeletionJob.objects.filter(leases.free(), state__in=UNFINISHED).values_list("id", flat=True))


def run_deletion(job_id: uuid.UUID, *, retry_after: Sequence[float] = RETRY_AFTER_SECONDS) -> None:
    """Work the job to its end. Does nothing where it has ended or another worker holds it."""
    mine = DeletionJob.objects.filter(id=job_id, state__in=UNFINISHED)
    token = leases.take(mine, seconds=LEASE_SECONDS)
    if token is None:
        return
    held = DeletionJob.objects.filter(id=job_id, lease_owner=token)
    with _kept_alive(held, token):
        try:
            _work(held, retry_after)
        except LeaseLost:
            log.warning("deletion.lease_lost", job=str(job_id))


def _work(held: QuerySet[DeletionJob], retry_after: Sequence[float]) -> None:
    held.filter(state=DeletionState.QUEUED).update(state=DeletionState.RUNNING)
    held.filter(started_at=None).update(started_at=Now())
    problem = ""
    try:
        for outcome in _outcomes(held, retry_after):
            _settle(held, outcome)
            if not outcome.deleted and all(error.code == "AccessDenied" for error in outcome.errors):
                problem = outcome.errors[0].message
                break
    except ConsoleError as error:
        problem = error.detail
    _finish(held, problem)


def _outcomes(held: QuerySet[DeletionJob], retry_after: Sequence[float]) -> Iterator[storage.DeleteOutcome]:
    """What became of each batch, several under way at once; ends early where the job is asked to stop."""
    batches = _batches(held.get())
    under_way: deque[Future[storage.DeleteOutcome]] = deque()
    with ThreadPoolExecutor(THREADS, thread_name_prefix="deletion") as pool:
        for batch in batches:
            if not held.filter(state=DeletionState.RUNNING).exists():
                break
            under_way.append(pool.submit(_delete_batch, batch, retry_after))
            if len(under_way) == THREADS:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()


def _batches(job: DeletionJob) -> Iterator[list[str]]:
    """The keys still to do, 1,000 at a time, oldest first."""
    if job.keys is not None:
        yield from (job.keys[start : start + BATCH] for start in range(0, len(job.keys), BATCH))
        return
    rows = selectors.frozen(job).order_by("timestamp", "key")
    last: tuple[datetime, str] | None = None
    while True:
        left = rows if last is None else selectors.after(rows, *last)
        found = list(left.values_list("timestamp", "key")[:BATCH])
        if not found:
            return
        last = found[-1]
        yield [key for _, key in found]


def _delete_batch(batch: list[str], retry_after: Sequence[float]) -> storage.DeleteOutcome:
    for seconds in retry_after:
        try:
            return storage.delete_objects(batch)
        except storage.StorageUnavailable:
            time.sleep(seconds)
    return storage.delete_objects(batch)


@transaction.atomic
def _settle(held: QuerySet[DeletionJob], outcome: storage.DeleteOutcome) -> None:
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
        # Nothing of the set is left. Reconciliation may have seen a batch go that a dead worker could not count.
        job.deleted = job.matched
    job.finished_at = timezone.now()
    job.lease_owner = job.lease_until = None
    job.save(update_fields=["problem", "state", "deleted", "finished_at", "lease_owner", "lease_until"])
    outcome = Outcome.FAILED if job.state == DeletionState.FAILED else Outcome.SUCCESS
    _record(Action.DELETION_FINISHED, job, actor=_asker(job), before=before, outcome=outcome)


def _create(
    actor: Actor, *, matched: int, cutoff: datetime, query: str = "", keys: list[str] | None = None
) -> DeletionJob:
    with transaction.atomic():
        job = DeletionJob.objects.create(
            query=query, keys=keys, cutoff=cutoff, matched=matched, actor=_description(actor)
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


def _checked(keys: Sequence[str]) -> list[str]:
    distinct = list(dict.fromkeys(keys))
    _check_number(distinct)
    for key in distinct:
        if problem := trace_keys.problem_with(key):
            raise Invalid.field("keys", f"{key[:200]!r}: {problem}")
    return distinct


def _check_number(keys: Sequence[str]) -> None:
    if not keys:
        raise Invalid.field("keys", "give at least one key")
    if len(keys) > BATCH:
        raise Invalid.field("keys", f"{len(keys):,} keys; at most {BATCH:,} at once. Nothing was deleted.")


@contextmanager
def _kept_alive(held: QuerySet[DeletionJob], token: uuid.UUID) -> Iterator[None]:
    """Renew the lease from a thread of its own: a batch may take longer than a lease."""
    done = threading.Event()

    def renew() -> None:
        try:
            while not done.wait(LEASE_SECONDS / 3):
                leases.renew(held, token, seconds=LEASE_SECONDS)
        finally:
            connection.close()

    thread = threading.Thread(target=renew, name="deletion-lease", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()

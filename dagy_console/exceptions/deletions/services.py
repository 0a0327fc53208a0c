"""Starting, stopping and recording deletions. Their work is in running.py.

A query's set is frozen by its horizon: what matched and was committed when the confirmation page was made. Selected
keys are claimed when the job is created.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from django.db import InterfaceError, OperationalError, transaction

from dagy.capture.keys import NO_ORG
from dagy_console.audit.actions import Action, Outcome
from dagy_console.audit.recorder import record
from dagy_console.core import jobs, leases, storage
from dagy_console.core.actors import Actor
from dagy_console.core.database import Horizon, database_time
from dagy_console.core.database import horizon as horizon_now
from dagy_console.core.errors import Conflict, Invalid, Unavailable
from dagy_console.core.permissions import Permission
from dagy_console.core.storage import FailedKey
from dagy_console.core.words import counted, number
from dagy_console.exceptions.bucket import traces_bucket
from dagy_console.exceptions.deletions import claims, running, selectors
from dagy_console.exceptions.models import DeletionClaim, DeletionJob
from dagy_console.exceptions.search import TraceQuery
from dagy_console.exceptions.selectors import indexed_keys, problems_with_keys, require_trace_keys

JOB = "exceptions.run_deletion"
MOST_KEYS = storage.MAX_KEYS_A_DELETE


class CountChanged(Conflict):
    title = "The count has changed"

    def __init__(self, *, expected: int, actual: int) -> None:
        super().__init__(
            f"You confirmed {counted(expected, 'trace')}, and now {number(actual)} match. "
            "Nothing was deleted; look again."
        )


@dataclass(frozen=True, slots=True)
class KeysDeleted:
    """The verdict on each key that was asked for."""

    deleted: list[str]
    errors: list[FailedKey]


def start_confirmed(
    *, actor: Actor, query: TraceQuery | None, keys: Sequence[str], horizon: Horizon, expected_count: int
) -> DeletionJob:
    """What the confirmation page starts: a query's deletion, or (`query` None) that of the selected keys."""
    if query is None:
        return start_key_deletion(actor=actor, keys=keys, expected_count=expected_count)
    return start_deletion(actor=actor, query=query, horizon=horizon, expected_count=expected_count)


@transaction.atomic
def start_deletion(
    *, actor: Actor, query: TraceQuery, expected_count: int, horizon: Horizon | None = None
) -> DeletionJob:
    """Queue the deletion of every trace that matches `query` and was in the index at the horizon (None: now).

    Raises PermissionDenied, Invalid where the horizon is none, TooBroad, and CountChanged where the match differs from
    what the person confirmed.
    """
    actor.require(Permission.EXCEPTIONS_DELETE)
    horizon = horizon or horizon_now()
    matched = selectors.count_as_of(actor, query, horizon)
    if matched != expected_count:
        raise CountChanged(expected=expected_count, actual=matched)
    job = DeletionJob.objects.create(
        query=query.text,
        cutoff=horizon.at,
        snapshot_text=horizon.snapshot,
        matched=matched,
        actor=actor.described(),
    )
    _record(Action.DELETION_STARTED, job, actor=actor)
    jobs.hand_over(JOB, job.id)
    return job


@transaction.atomic
def start_key_deletion(*, actor: Actor, keys: Sequence[str], expected_count: int) -> DeletionJob:
    """Queue the deletion of up to 1,000 keys. Raises PermissionDenied, Invalid, CountChanged."""
    actor.require(Permission.EXCEPTIONS_DELETE)
    wanted = _distinct(keys)
    require_trace_keys(actor, wanted)
    if len(wanted) != expected_count:
        raise CountChanged(expected=expected_count, actual=len(wanted))
    job = _create_for_keys(actor, wanted)
    jobs.hand_over(JOB, job.id)
    return job


def delete_keys(*, actor: Actor, keys: Sequence[str]) -> KeysDeleted:
    """Delete up to 1,000 keys now. A key that is gone counts as deleted; one that is none of a trace is an error, and
    so is one that another deletion has on its way.

    Raises PermissionDenied, Invalid (none, or too many keys), Unavailable where S3 refuses all of it, and where S3 or
    PostgreSQL did not answer: then the deletion goes on in the background, as the job that is named.
    """
    actor.require(Permission.EXCEPTIONS_DELETE)
    traces_bucket()
    storage.check_ready()
    distinct = _distinct(keys)
    problems = problems_with_keys(actor, distinct)
    refused = [FailedKey(key, "InvalidKey", problem) for key, problem in problems.items()]
    good = [key for key in distinct if key not in problems]
    if not good:
        return KeysDeleted([], refused)
    # Held from its first moment, so that no worker takes it between its creation and its execution.
    token = uuid.uuid4()
    with transaction.atomic():
        job = _create_for_keys(actor, good, token=token)
        elsewhere = set(DeletionClaim.objects.filter(key__in=good).exclude(job=job).values_list("key", flat=True))
    try:
        # Somebody waits for the answer: what S3 does not answer for at once is left to a worker.
        jobs.run(JOB, job.id, taken=token, work=partial(running.run, pauses=()))
        job.refresh_from_db()
        if not job.is_final:
            jobs.hand_over(JOB, job.id)
            raise Unavailable(f"{job.problem} {_goes_on(job)}")
        failed = [FailedKey(error.key, error.code, error.message) for error in job.errors.order_by("id")]
    except (OperationalError, InterfaceError):
        raise Unavailable(f"The database did not answer. {_goes_on(job)}") from None
    if {error.code for error in failed} == {running.REFUSED}:
        raise Unavailable(job.problem)
    failed += [FailedKey(key, "InProgress", "Another deletion has this trace on its way.") for key in sorted(elsewhere)]
    left = {error.key for error in failed}
    return KeysDeleted([key for key in good if key not in left], [*refused, *failed])


def _goes_on(job: DeletionJob) -> str:
    return f"The deletion goes on in the background as job {job.id}: look there for its end."


@transaction.atomic
def cancel_deletion(*, actor: Actor, job_id: uuid.UUID) -> DeletionJob:
    """Stop after what is under way. What was deleted stays deleted. Raises Conflict where it has ended."""
    actor.require(Permission.EXCEPTIONS_DELETE)
    job = selectors.get_deletion(actor, job_id)
    before = job.snapshot()
    if jobs.cancel(job):
        if job.is_final:
            job.claims.all().delete()  # nobody has asked for them
        _record(Action.DELETION_CANCELLED, job, actor=actor, before=before)
    return job


def record_end(job: DeletionJob, before: Mapping[str, object]) -> None:
    """How the deletion ended: for the platform, and for each organization with its own count alone."""
    claims.abandon(job)
    actor = job.asker
    outcome = Outcome.FAILED if job.problem else Outcome.SUCCESS
    organizations = {org: count for org, count in job.organizations.items() if org != NO_ORG}
    sole = next(iter(organizations)) if len(job.organizations) == 1 and organizations else ""
    # It began with none: its entry tells what it did, and not only that it ended.
    before = {**before, "deleted": 0, "failed": 0, "skipped": 0}
    _record(Action.DELETION_FINISHED, job, actor=actor, before=before, outcome=outcome, org_id=sole)
    if sole:
        return
    for org, count in sorted(organizations.items()):
        record(
            Action.DELETION_FINISHED,
            actor=actor,
            resource_type="deletion",
            resource_id=str(job.id),
            resource_name=f"{counted(count, 'trace')} of {org}",
            org_id=org,
            after={"state": job.state, "deleted": count},
        )


def _create_for_keys(actor: Actor, keys: list[str], *, token: uuid.UUID | None = None) -> DeletionJob:
    known = indexed_keys(actor, keys)
    now = database_time()
    job = DeletionJob.objects.create(
        keys=keys,
        cutoff=now,
        matched=len(keys),
        actor=actor.described(),
        lease_owner=token,
        lease_until=now + timedelta(seconds=leases.SECONDS) if token else None,
    )
    claims.claim(job, known)
    claims.claim_unknown(job, sorted(set(keys) - set(known)))
    _record(Action.DELETION_STARTED, job, actor=actor, more={"keys": keys, "in_index": known})
    return job


def _record(
    action: Action,
    job: DeletionJob,
    *,
    actor: Actor,
    before: Mapping[str, object] | None = None,
    more: Mapping[str, object] | None = None,
    outcome: Outcome = Outcome.SUCCESS,
    org_id: str = "",
) -> None:
    count = f"{number(job.deleted)} of " if job.is_final else ""
    chosen = job.query or ("all" if job.keys is None else "picked by key")
    record(
        action,
        actor=actor,
        resource_type="deletion",
        resource_id=str(job.id),
        resource_name=f"{count}{counted(job.matched, 'trace')}: {chosen}",
        org_id=org_id,
        outcome=outcome,
        before=before,
        after=job.snapshot() | dict(more or {}),
    )


def _distinct(keys: Sequence[str]) -> list[str]:
    distinct = list(dict.fromkeys(keys))
    if not distinct:
        raise Invalid.field("keys", "give at least one key")
    if len(distinct) > MOST_KEYS:
        raise Invalid.field(
            "keys", f"{counted(len(distinct), 'key')}; at most {number(MOST_KEYS)} at once. Nothing was deleted."
        )
    return distinct

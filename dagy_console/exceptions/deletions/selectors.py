"""What a deletion would hit, and the deletions there are."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import BooleanField, Case, Count, Func, Max, Min, Q, QuerySet, Sum, TextField, Value, When
from django.db.models.fields.json import KT

from dagy_console.core.actors import Actor
from dagy_console.core.database import Horizon, TookTooLong, is_past, time_limit
from dagy_console.core.errors import Invalid, NotFound
from dagy_console.core.permissions import Permission
from dagy_console.core.storage import MAX_KEYS_A_DELETE
from dagy_console.exceptions import selectors as traces
from dagy_console.exceptions.models import DeletionError, DeletionJob, Trace, TraceGroup
from dagy_console.exceptions.search import TRACES, TraceQuery, parse
from dagy_console.listing.finding import LIST_SECONDS, TooBroad

# Whether a row was committed when the snapshot was taken. As in every query, what this very transaction wrote is seen.
IN_SNAPSHOT = "(pg_visible_in_snapshot(indexed_xid, %s::pg_snapshot) OR indexed_xid = pg_current_xact_id_if_assigned())"


class _InSnapshot(Func):
    template = IN_SNAPSHOT.replace("%s", "%(expressions)s")
    output_field = BooleanField()


@dataclass(frozen=True, slots=True)
class PlannedGroup:
    """How many traces of a group would go; `vanishes` where that is all of them."""

    fingerprint: str
    title: str
    count: int
    vanishes: bool


@dataclass(frozen=True, slots=True)
class DeletionPlan:
    """What a deletion would hit, as it stands at `horizon`. `bytes` is the sum of the objects' sizes."""

    horizon: Horizon
    count: int
    bytes: int
    oldest: datetime | None
    newest: datetime | None
    organizations: list[tuple[str, int]]
    types: list[tuple[str, int]]
    groups: list["PlannedGroup"]
    sample: list[Trace]
    query_text: str = ""
    keys: Sequence[str] = ()

    @property
    def vanishing(self) -> list[PlannedGroup]:
        return [group for group in self.groups if group.vanishes]


def as_of(actor: Actor, query: TraceQuery, horizon: Horizon) -> QuerySet[Trace]:
    """What matched and was committed at the horizon, and is still there; relative times count from there.

    Raises PermissionDenied, Invalid where the horizon lies ahead, or is none.
    """
    if not is_past(horizon):
        raise Invalid.field("snapshot", "not a moment that this console gave out. Nothing was deleted; select again.")
    return traces.visible_to(actor).filter(query.as_q(now=horizon.at), _InSnapshot(Value(horizon.snapshot)))


def count_as_of(actor: Actor, query: TraceQuery, horizon: Horizon) -> int:
    """Raises TooBroad besides."""
    try:
        with time_limit(LIST_SECONDS):
            return as_of(actor, query, horizon).count()
    except TookTooLong:
        raise TooBroad from None


def plan_deletion(actor: Actor, *, query: TraceQuery, horizon: Horizon) -> DeletionPlan:
    """Raises PermissionDenied, Invalid, TooBroad."""
    actor.require(Permission.EXCEPTIONS_DELETE)
    return _plan(as_of(actor, query, horizon), horizon, query_text=query.text)


def plan_key_deletion(actor: Actor, *, keys: Sequence[str], horizon: Horizon) -> DeletionPlan:
    actor.require(Permission.EXCEPTIONS_DELETE)
    return _plan(traces.visible_to(actor).filter(key__in=keys), horizon, keys=keys)


def _plan(rows: QuerySet[Trace], horizon: Horizon, *, query_text: str = "", keys: Sequence[str] = ()) -> DeletionPlan:
    try:
        with time_limit(LIST_SECONDS):
            return _counted(rows, horizon, query_text=query_text, keys=keys)
    except TookTooLong:
        raise TooBroad from None


def _counted(rows: QuerySet[Trace], horizon: Horizon, *, query_text: str, keys: Sequence[str]) -> DeletionPlan:
    totals = rows.aggregate(count=Count("*"), bytes=Sum("size"), oldest=Min("timestamp"), newest=Max("timestamp"))
    return DeletionPlan(
        horizon=horizon,
        # Keys that are not in the index are deleted in S3 all the same.
        count=len(keys) or totals["count"],
        bytes=totals["bytes"] or 0,
        oldest=totals["oldest"],
        newest=totals["newest"],
        organizations=_most_frequent(rows, "org_id"),
        types=_most_frequent(rows, "exception_type"),
        groups=_groups(rows),
        sample=list(TRACES.keyset.newest_first(rows)[:5]),
        query_text=query_text,
        keys=keys,
    )


def _most_frequent(rows: QuerySet[Trace], column: str) -> list[tuple[str, int]]:
    return list(rows.order_by().values_list(column).annotate(count=Count("*")).order_by("-count", column))


def _groups(rows: QuerySet[Trace]) -> list[PlannedGroup]:
    counts = _most_frequent(rows, "fingerprint")
    known = TraceGroup.objects.in_bulk([fingerprint for fingerprint, _ in counts])
    return [
        PlannedGroup(fingerprint, group.title, count, vanishes=count >= group.count)
        for fingerprint, count in counts
        if (group := known.get(fingerprint))
    ]


def frozen(job: DeletionJob) -> QuerySet[Trace]:
    """What is left of the job's set."""
    return Trace.objects.filter(parse(job.query).as_q(now=job.cutoff), _InSnapshot(Value(job.snapshot_text)))


def after(rows: QuerySet[Trace], timestamp: datetime, key: str) -> QuerySet[Trace]:
    return rows.filter(Q(timestamp__gte=timestamp) & (Q(timestamp__gt=timestamp) | Q(key__gt=key)))


def visible_to(actor: Actor) -> QuerySet[DeletionJob]:
    """Every deletion, with who asked for it: only the platform's staff may. Raises PermissionDenied."""
    actor.require(Permission.EXCEPTIONS_DELETE)
    by_rows = When(keys=None, then=Value("search"))
    return DeletionJob.objects.defer("keys").annotate(
        asked_by=KT("actor__email"), chosen=Case(by_rows, default=Value("rows"), output_field=TextField())
    )


def get_deletion(actor: Actor, job_id: uuid.UUID) -> DeletionJob:
    actor.require(Permission.EXCEPTIONS_DELETE)
    job = DeletionJob.objects.filter(id=job_id).first()
    if job is None:
        raise NotFound("There is no such deletion.")
    return job


def deletion_errors(actor: Actor, job: DeletionJob, *, limit: int = 100) -> list[DeletionError]:
    actor.require(Permission.EXCEPTIONS_DELETE)
    return list(job.errors.order_by("id")[:limit])


def errors_by_code(actor: Actor, job: DeletionJob) -> QuerySet[DeletionError, Any]:
    """`code`, `count`, and what S3 said of one of them (`message`), the most frequent first."""
    actor.require(Permission.EXCEPTIONS_DELETE)
    codes = job.errors.order_by().values("code")
    return codes.annotate(count=Count("*"), message=Min("message")).order_by("-count")


def failed_keys(actor: Actor, job_id: str) -> list[str]:
    """Keys that a deletion could not delete, as many as one deletion of keys takes. Raises PermissionDenied."""
    actor.require(Permission.EXCEPTIONS_DELETE)
    try:
        job = get_deletion(actor, uuid.UUID(job_id))
    except (ValueError, NotFound):
        return []
    return list(job.errors.order_by("id").values_list("key", flat=True)[:MAX_KEYS_A_DELETE])

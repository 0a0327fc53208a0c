"""What a deletion would hit, and the deletions there are."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Max, Min, Q, QuerySet, Sum

from dagy_console.core.actors import Actor
from dagy_console.core.errors import NotFound
from dagy_console.core.permissions import Permission
from dagy_console.exceptions.models import DeletionError, DeletionJob, Trace
from dagy_console.exceptions.search import TRACES, TraceQuery, parse
from dagy_console.exceptions.selectors import visible_to
from dagy_console.listing.pages import Keyset, Page

DELETIONS = Keyset("created_at", "id")


@dataclass(frozen=True, slots=True)
class DeletionPlan:
    """What a deletion would hit, as it stands at `cutoff`. `bytes` is the sum of the objects' sizes."""

    cutoff: datetime
    count: int
    bytes: int
    oldest: datetime | None
    newest: datetime | None
    organizations: list[tuple[str, int]]
    sample: list[Trace]
    query_text: str = ""
    keys: Sequence[str] = ()


def as_of(actor: Actor, query: TraceQuery, cutoff: datetime) -> QuerySet[Trace]:
    """What matched at `cutoff` and is still there; relative times count from there."""
    return visible_to(actor).filter(query.as_q(now=cutoff), indexed_at__lte=cutoff)


def plan_deletion(actor: Actor, *, query: TraceQuery, cutoff: datetime) -> DeletionPlan:
    actor.require(Permission.EXCEPTIONS_DELETE)
    return _plan(as_of(actor, query, cutoff), cutoff, query_text=query.text)


def plan_key_deletion(actor: Actor, *, keys: Sequence[str], cutoff: datetime) -> DeletionPlan:
    actor.require(Permission.EXCEPTIONS_DELETE)
    return _plan(visible_to(actor).filter(key__in=keys), cutoff, keys=keys)


def _plan(rows: QuerySet[Trace], cutoff: datetime, *, query_text: str = "", keys: Sequence[str] = ()) -> DeletionPlan:
    totals = rows.aggregate(count=Count("*"), bytes=Sum("size"), oldest=Min("timestamp"), newest=Max("timestamp"))
    organizations = rows.order_by().values_list("org_id").annotate(count=Count("*")).order_by("-count", "org_id")
    return DeletionPlan(
        cutoff=cutoff,
        # Keys that are not in the index are deleted in S3 all the same.
        count=len(keys) or totals["count"],
        bytes=totals["bytes"] or 0,
        oldest=totals["oldest"],
        newest=totals["newest"],
        organizations=list(organizations),
        sample=list(TRACES.keyset.newest_first(rows)[:5]),
        query_text=query_text,
        keys=keys,
    )


def frozen(job: DeletionJob) -> QuerySet[Trace]:
    """What is left of the job's set."""
    return Trace.objects.filter(parse(job.query).as_q(now=job.cutoff), indexed_at__lte=job.cutoff)


def after(rows: QuerySet[Trace], timestamp: datetime, key: str) -> QuerySet[Trace]:
    return rows.filter(Q(timestamp__gte=timestamp) & (Q(timestamp__gt=timestamp) | Q(key__gt=key)))


def list_deletions(actor: Actor, *, cursor: str = "") -> Page[DeletionJob]:
    actor.require(Permission.EXCEPTIONS_DELETE)
    return DELETIONS.page(DeletionJob.objects.defer("keys"), cursor=cursor)


def get_deletion(actor: Actor, job_id: uuid.UUID) -> DeletionJob:
    actor.require(Permission.EXCEPTIONS_DELETE)
    job = DeletionJob.objects.filter(id=job_id).first()
    if job is None:
        raise NotFound("There is no such deletion.")
    return job


def deletion_errors(actor: Actor, job: DeletionJob, *, limit: int = 100) -> list[DeletionError]:
    actor.require(Permission.EXCEPTIONS_DELETE)
    return list(job.errors.order_by("id")[:limit])

"""Keys on their way to S3: claimed before they are asked for, settled with the answer.

Every statement takes rows of the index first, in key order, and claims then: two deletions never wait for each other
crosswise, and what both match goes to one of them.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from django.db import connection, transaction
from django.db.models import F, QuerySet

from dagy.capture.keys import NO_ORG, parse_key
from dagy_console.core import jobs, leases
from dagy_console.core.forms import storable
from dagy_console.core.storage import FailedKey
from dagy_console.exceptions.deletions.selectors import IN_SNAPSHOT
from dagy_console.exceptions.index.indexing import remove_traces
from dagy_console.exceptions.models import DeletionClaim, DeletionError, DeletionJob, Trace

_CLAIM, _ERROR, _TRACE = (model._meta.db_table for model in (DeletionClaim, DeletionError, Trace))
# Keys that failed are not asked for again when the job is resumed.
_CLAIM_INDEXED = f"""
INSERT INTO {_CLAIM} (key, job_id, org_id)
SELECT key, %s, org_id FROM {_TRACE}
WHERE key = ANY(%s) AND NOT EXISTS (SELECT FROM {_ERROR} AS error WHERE error.job_id = %s AND error.key = {_TRACE}.key)
AND {{condition}}
ORDER BY key FOR UPDATE OF {_TRACE}
ON CONFLICT DO NOTHING RETURNING key
"""
_CLAIM_UNKNOWN = f"""
INSERT INTO {_CLAIM} (key, job_id, org_id)
SELECT key, %s, org_id FROM unnest(%s::text[], %s::text[]) AS new (key, org_id) ORDER BY key
ON CONFLICT DO NOTHING RETURNING key
"""


def claim(job: DeletionJob, keys: Sequence[str]) -> list[str]:
    """Claim those of the keys that are in the index and, where the job has a horizon, are of its set."""
    frozen = bool(job.snapshot_text)
    sql = _CLAIM_INDEXED.format(condition=IN_SNAPSHOT if frozen else "true")
    return _claimed(sql, [job.id, list(keys), job.id, *([job.snapshot_text] if frozen else [])])


def claim_unknown(job: DeletionJob, keys: Sequence[str]) -> list[str]:
    """Claim keys that the index does not know: S3 may."""
    places = map(parse_key, keys)
    return _claimed(_CLAIM_UNKNOWN, [job.id, list(keys), [place.org_id if place else NO_ORG for place in places]])


def _claimed(sql: str, values: list[Any]) -> list[str]:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(sql, values)
        return sorted(key for (key,) in cursor.fetchall())


def left(job: DeletionJob) -> list[str]:
    """What the job has claimed and S3 has not answered yet."""
    return list(job.claims.order_by("key").values_list("key", flat=True))


@transaction.atomic
def settle(held: QuerySet[DeletionJob], deleted: Sequence[str], errors: Sequence[FailedKey]) -> None:
    """Index, claims, errors and progress, all or nothing. A claim that is settled already is not counted again."""
    job = leases.locked(held)
    remove_traces(deleted)
    organizations = _released(job, deleted)
    failed = _failed(job, errors)
    gone = sum(organizations.values())
    held.update(
        deleted=F("deleted") + gone,
        failed=F("failed") + failed,
        organizations=dict(Counter(job.organizations) + organizations),
        pace=jobs.marked(job, job.done + gone + failed),
    )


def _released(job: DeletionJob, keys: Sequence[str]) -> Counter[str]:
    """Take the job's claims on these keys back; how many of each organization there were."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"DELETE FROM {_CLAIM} WHERE job_id = %s AND key = ANY(%s) RETURNING org_id", [job.id, list(keys)]
        )
        return Counter(org for (org,) in cursor.fetchall())


def _failed(job: DeletionJob, errors: Sequence[FailedKey]) -> int:
    rows = [
        DeletionError(job=job, key=error.key, code=storable(error.code, 200), message=storable(error.message, 2_000))
        for error in errors
    ]
    DeletionError.objects.bulk_create(rows, ignore_conflicts=True)
    return sum(_released(job, [error.key for error in errors]).values())


def abandon(job: DeletionJob) -> int:
    """For a job that ends by an error of the console: what is still claimed is written down as failed. How many."""
    message = "It was asked for, and what became of it could not be written down. The index follows the bucket."
    failed = _failed(job, [FailedKey(key, "Unknown", message) for key in left(job)])
    if failed:
        job.failed += failed
        job.save(update_fields=["failed"])
    return failed

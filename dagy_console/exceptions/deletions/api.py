"""`/admin/exceptions/deletions`."""

from typing import Any
from uuid import UUID

from ninja import Field, Schema, Status

from dagy_console.core.api import BODY_PROBLEMS, PROBLEMS, ApiRequest, BodyIn, StrictRouter, Text, problems
from dagy_console.core.errors import Invalid
from dagy_console.exceptions.deletions import selectors, services
from dagy_console.exceptions.deletions.presenting import job_out
from dagy_console.exceptions.models import DeletionJob
from dagy_console.exceptions.search import TRACES
from dagy_console.listing.api import parsed
from dagy_console.listing.language import MAX_LENGTH

router = StrictRouter(tags=["exceptions"])


class DeletionIn(BodyIn):
    """One of `q` and `keys`, and how many traces they are thought to hit."""

    q: Text | None = Field(None, max_length=MAX_LENGTH, description="A search; empty: every trace.")
    keys: list[Text] | None = Field(None, description="1 to 1,000 keys of traces.")
    expected_count: int = Field(ge=0, description="As the list's summary counts it, or the number of keys.")


class FailureOut(Schema):
    key: str
    code: str
    message: str


class DeletionOut(Schema):
    """`failed` counts all errors, of which `errors` are the first; `rate` is in traces a second."""

    id: str
    state: str
    q: str | None
    matched: int
    deleted: int
    failed: int
    skipped: int
    errors: list[FailureOut]
    problem: str
    rate: float
    eta_seconds: int | None
    created_by: str
    created_at: str
    started_at: str | None
    finished_at: str | None
    since: str | None
    waiting_since: str | None


@router.post(
    "/admin/exceptions/deletions", idempotent=True, response={202: DeletionOut, **BODY_PROBLEMS, **problems(409)}
)
def start_deletion(request: ApiRequest, body: DeletionIn) -> Status[dict[str, Any]]:
    """Delete what matches now, in the background. 409 where the count differs: nothing is deleted then."""
    if (body.q is None) == (body.keys is None):
        raise Invalid.field("q", "give either q, a search, or keys")
    if body.keys is not None:
        job = services.start_key_deletion(actor=request.actor, keys=body.keys, expected_count=body.expected_count)
    else:
        query = parsed(TRACES, body.q or "")
        job = services.start_deletion(actor=request.actor, query=query, expected_count=body.expected_count)
    return Status(202, _out(request, job))


@router.get("/admin/exceptions/deletions/{job_id}", response={200: DeletionOut, **PROBLEMS})
def get_deletion(request: ApiRequest, job_id: UUID) -> dict[str, Any]:
    """How far a deletion has come."""
    return _out(request, selectors.get_deletion(request.actor, job_id))


@router.post(
    "/admin/exceptions/deletions/{job_id}/cancel",
    idempotent=True,
    response={202: DeletionOut, **BODY_PROBLEMS, **problems(409)},
)
def cancel_deletion(request: ApiRequest, job_id: UUID) -> Status[dict[str, Any]]:
    """Stop after what is under way; what was deleted stays deleted. 409 where it has ended."""
    return Status(202, _out(request, services.cancel_deletion(actor=request.actor, job_id=job_id)))


def _out(request: ApiRequest, job: DeletionJob) -> dict[str, Any]:
    return job_out(job, selectors.deletion_errors(request.actor, job))

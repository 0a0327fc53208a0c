"""Deletion jobs as the pages and the API show them."""

from typing import Any

from django.urls import reverse

from dagy_console.audit.search import ENTRIES
from dagy_console.core.times import to_rfc3339
from dagy_console.core.visible import visible
from dagy_console.core.words import duration
from dagy_console.exceptions.models import DeletionError, DeletionJob
from dagy_console.exceptions.search import parse
from dagy_console.listing.language import Query, Term


def job_row(job: DeletionJob, query: Query | None = None) -> dict[str, Any]:
    """A deletion job as its page shows it."""
    names = (
        "id", "state", "since", "matched", "deleted", "failed", "skipped", "percent", "rate", "eta", "created_by",
        "created_at", "started_at", "finished_at", "is_final", "problem", "waiting_since", "cutoff",
    )  # fmt: skip
    return {
        **{name: getattr(job, name) for name in names},
        "query_text": visible(job.query),
        "query_url": parse(job.query).url,
        "audit_url": ENTRIES.query(Term("resource", "deletion"), Term("id", str(job.id))).url,
        "chosen_by_key": job.keys is not None,
        "eta_text": f"{duration(job.eta)} left" if job.eta else "",
        "url": reverse("exceptions:deletion", args=[job.id]),
    }


def job_out(job: DeletionJob, errors: list[DeletionError]) -> dict[str, Any]:
    """A deletion job as the API answers it; `errors` are the first ones, `failed` counts them all."""
    times = ("created_at", "started_at", "finished_at", "since", "waiting_since")
    return {
        **{name: getattr(job, name) for name in ("state", "matched", "deleted", "failed", "skipped", "problem")},
        **{name: to_rfc3339(at) if (at := getattr(job, name)) else None for name in times},
        "id": str(job.id),
        "q": job.query if job.keys is None else None,
        "rate": round(job.rate, 1),
        "eta_seconds": int(job.eta.total_seconds()) if job.eta else None,
        "errors": [{"key": error.key, "code": error.code, "message": error.message} for error in errors],
        "created_by": job.created_by,
    }

"""Deletion jobs as the pages and the API show them."""

from datetime import timedelta
from typing import Any

from django.urls import reverse

from dagy_console.exceptions.models import DeletionJob


def job_row(job: DeletionJob) -> dict[str, Any]:
    """A deletion job as its page shows it."""
    names = (
        "id", "state", "matched", "deleted", "failed", "skipped", "percent", "rate", "eta", "created_by", "created_at",
        "started_at", "finished_at", "is_final", "problem", "cutoff",
    )  # fmt: skip
    return {
        **{name: getattr(job, name) for name in names},
        "query_text": job.query,
        "eta_text": _left(job.eta),
        "url": reverse("exceptions:deletion", args=[job.id]),
    }


def _left(eta: timedelta | None) -> str:
    if eta is None:
        return ""
    seconds = int(eta.total_seconds())
    if seconds < 90:
        return f"{seconds} s left"
    return f"{round(seconds / 60)} min left" if seconds < 5400 else f"{seconds / 3600:.1f} h left"

"""Deletion jobs as the pages and the API show them."""

from typing import Any

from django.urls import reverse

from dagy_console.core.words import duration
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
        "eta_text": f"{duration(job.eta)} left" if job.eta else "",
        "url": reverse("exceptions:deletion", args=[job.id]),
    }

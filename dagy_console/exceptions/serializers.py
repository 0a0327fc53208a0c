"""Traces and deletion jobs as JSON, and as the pages show them."""

from typing import Any
from urllib.parse import urlencode

from django.urls import reverse

from dagy_console.core.times import to_rfc3339
from dagy_console.core.words import duration
from dagy_console.exceptions.models import DeletionJob, Trace
from dagy_console.exceptions.search import Term, TraceQuery


def trace_out(trace: Trace) -> dict[str, Any]:
    """One item of `GET /admin/exceptions`."""
    return {
        "key": trace.key,
        "org_id": trace.org_id,
        "timestamp": to_rfc3339(trace.timestamp),
        "exception_type": trace.exception_type,
        "exception_message": trace.message,
        "http_method": trace.http_method,
        "http_path": trace.http_path,
        "request_id": trace.request_id,
        "function_name": trace.function_name,
        "fingerprint": trace.fingerprint,
        "size": trace.size,
        "last_modified": to_rfc3339(trace.last_modified),
        "problems": trace.problems,
    }


def trace_row(trace: Trace, query: TraceQuery | None = None) -> dict[str, Any]:
    """One row of a list; its link keeps the search, so that the trace's page can step through it."""
    return {
        "key": trace.key,
        "timestamp": trace.timestamp,
        "org_id": trace.org_id,
        "exception_type": trace.exception_type,
        "message": trace.message,
        "http_method": trace.http_method,
        "http_path": trace.http_path,
        "request_id": trace.request_id,
        "function_name": trace.function_name,
        "fingerprint": trace.fingerprint,
        "size": trace.size,
        "last_modified": trace.last_modified,
        "etag": trace.etag,
        "problems": trace.problems,
        "url": trace_url(trace.key, query),
        "group_url": search_url(term_query("group", trace.fingerprint)),
        "org_url": search_url(term_query("org", trace.org_id)),
        "request_url": search_url(term_query("request", trace.request_id)),
    }


def trace_url(key: str, query: TraceQuery | None = None, *, page: str = "exceptions:trace") -> str:
    params = {"key": key} | ({"q": query.text} if query and query.terms else {})
    return f"{reverse(page)}?{urlencode(params)}"


def search_url(query: TraceQuery) -> str:
    path = reverse("exceptions:list")
    return f"{path}?{urlencode({'q': query.text})}" if query.terms else path


def term_query(key: str, value: str) -> TraceQuery:
    """The query of one term; of none where there is no value."""
    return TraceQuery((Term(key, value),)) if value else TraceQuery()


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

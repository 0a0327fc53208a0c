"""Traces and deletion jobs as JSON, and as the pages show them."""

from typing import Any
from urllib.parse import urlencode

from django.urls import reverse

from dagy.capture.keys import NO_ORG
from dagy_console.core.http import address
from dagy_console.core.times import to_rfc3339
from dagy_console.core.visible import visible
from dagy_console.exceptions.models import Trace
from dagy_console.exceptions.search import TRACES, TraceQuery
from dagy_console.listing.language import Term

_TEXTS = ("org_id", "exception_type", "message", "http_method", "http_path", "request_id", "function_name")


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
    """One row of a list, its texts made visible; its link keeps the search, so that the trace's page can step through
    it."""
    return {
        **{name: visible(getattr(trace, name)) for name in _TEXTS},
        "org_name": visible(trace.org_id) if trace.org_id not in ("", NO_ORG) else "none",
        "key": trace.key,
        "timestamp": trace.timestamp,
        "fingerprint": trace.fingerprint,
        "size": trace.size,
        "last_modified": trace.last_modified,
        "etag": trace.etag,
        "problems": trace.problems,
        "file_name": visible(trace.key.rsplit("/", 1)[-1]),
        "url": trace_url(trace.key, query),
        "group_url": group_url(trace.fingerprint),
        "org_url": term_query("org", trace.org_id).url,
        "request_url": term_query("request", trace.request_id).url,
    }


def trace_url(key: str, query: TraceQuery | None = None, *, page: str = "exceptions:trace") -> str:
    params = {"key": key} | ({"q": query.text} if query and query.terms else {})
    return f"{address(page)}?{urlencode(params)}"


def group_url(fingerprint: str) -> str:
    """The address of the group's page."""
    return reverse("exceptions:group", args=[fingerprint]) if fingerprint else ""


def term_query(key: str, value: str) -> TraceQuery:
    """The query of one term; of none where there is no value."""
    return TRACES.query(Term(key, value)) if value else TRACES.query()

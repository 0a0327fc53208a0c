"""Impersonations as the API answers them, and as the page shows them."""

from typing import Any

from django.urls import reverse

from dagy_console.audit.search import ENTRIES
from dagy_console.core.times import to_rfc3339
from dagy_console.core.visible import visible
from dagy_console.listing.language import Query, Term


def impersonation_out(row: Any) -> dict[str, Any]:
    """One of `impersonation.selectors.visible_to`."""
    return {
        "id": str(row.pk),
        "impersonator": row.by,
        "user": row.whom,
        "reason": row.reason,
        "read_only": row.read_only,
        "state": row.state,
        "started_at": to_rfc3339(row.started_at),
        "expires_at": to_rfc3339(row.expires_at),
        "ended_at": to_rfc3339(row.ended_at) if row.ended_at else None,
        "cause": row.cause,
    }


def impersonation_row(row: Any, query: Query | None = None) -> dict[str, Any]:
    return {
        "id": str(row.pk),
        "by": row.by,
        "whom": row.whom,
        "reason": visible(row.reason),
        "read_only": row.read_only,
        "state": row.state,
        "started_at": row.started_at,
        "expires_at": row.expires_at,
        "ended_at": row.ended_at,
        "cause": row.cause,
        "end_url": reverse("accounts:impersonation-end-other", args=[row.pk]),
        # What was done as that person, by that impersonator, from then on.
        "audit_url": ENTRIES.query(Term("impersonator", row.by), Term("after", to_rfc3339(row.started_at))).url,
    }

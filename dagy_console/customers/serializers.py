"""Customers as the API answers them, and as the pages show them."""

from collections.abc import Sequence
from typing import Any

from django.urls import reverse

from dagy_console.accounts.models import Membership, Suspension
from dagy_console.accounts.search import API_KEYS, MEMBERS, SESSIONS
from dagy_console.audit.search import ENTRIES
from dagy_console.core.times import to_rfc3339
from dagy_console.core.visible import visible
from dagy_console.core.words import counted
from dagy_console.customers import registry
from dagy_console.customers.selectors import Preview
from dagy_console.listing.language import Query, Term


def _time(at: Any) -> str | None:
    return to_rfc3339(at) if at else None


def customer_out(customer: Any) -> dict[str, Any]:
    """One item of `GET /admin/customers`. `figures` are what the apps tell: name -> number."""
    return {
        "id": customer.pk,
        "name": customer.name,
        "status": customer.status,
        "created_at": to_rfc3339(customer.created_at),
        "members": customer.members,
        "last_activity": _time(customer.last_activity),
        "figures": {name: getattr(customer, name) for name in registry.figures},
    }


def customer_detail_out(customer: Any, suspension: Suspension | None, members: Sequence[Membership]) -> dict[str, Any]:
    """`GET /admin/customers/{org_id}`: with the suspension that holds, and the first members."""
    return customer_out(customer) | {
        "suspension": suspension and suspension_out(suspension),
        "people": [
            {
                "user_id": str(row.user_id),
                "email": row.user.email,
                "name": row.user.name,
                "role": row.role,
                "last_seen_at": _time(getattr(row, "seen_at", None)),
            }
            for row in members
        ],
    }


def suspension_out(suspension: Suspension) -> dict[str, Any]:
    return {
        "org_id": suspension.organization_id,
        **{name: getattr(suspension, name) for name in ("reason", "note", "running_runs", "suspended_by")},
        **{name: getattr(suspension, name) for name in ("lifted_by", "lift_reason")},
        **{name: _time(getattr(suspension, name)) for name in ("suspended_at", "until", "lifted_at")},
    }


def preview_out(preview: Preview) -> dict[str, Any]:
    hits = {name: count for name, _, count in preview.hits}
    return {"hits": hits, "members_who_go_on_elsewhere": preview.elsewhere, "owners": preview.owners}


def customer_row(customer: Any, query: Query | None = None) -> dict[str, Any]:
    """A customer as the list shows it."""
    figures = [
        {
            "label": figure.label,
            "count": getattr(customer, figure.name),
            "url": figure.url(customer.pk),
            "tone": "danger" if figure.bad and getattr(customer, figure.name) else "",
        }
        for figure in registry.figures.values()
    ]
    return {
        "id": visible(customer.pk),
        "name": visible(customer.name),
        "status": customer.status,
        "members": customer.members,
        "last_activity": customer.last_activity,
        "created_at": customer.created_at,
        "figures": figures,
        "url": reverse("customers:customer", args=[customer.pk]),
        "team_url": MEMBERS.query(Term("org", customer.pk)).url,
        "keys_url": API_KEYS.query(Term("org", customer.pk)).url,
        "sessions_url": SESSIONS.query(Term("org", customer.pk)).url,
        "audit_url": ENTRIES.query(Term("org", customer.pk)).url,
    }


def preview_rows(preview: Preview) -> list[str]:
    """What a suspension stops, in words: "3 members", "2 sessions"."""
    return [counted(count, noun) for name, noun, count in preview.hits if count or name == "members"]

"""API keys as JSON, and as the pages show them. `key` comes from `selectors.visible_to`."""

from datetime import timedelta
from typing import Any

from django.utils import timezone

from dagy_console.accounts.search import API_KEYS
from dagy_console.audit.search import ENTRIES
from dagy_console.core.times import to_rfc3339
from dagy_console.core.visible import visible
from dagy_console.listing.language import Query, Term

SOON = timedelta(days=7)


def key_out(key: Any, *, state: str = "") -> dict[str, Any]:
    """One item of `GET /api-keys`. `scopes` null: all that its creator may do there. A new key has no `state` yet."""
    return {
        "id": str(key.pk),
        "name": key.name,
        "org_id": key.organization_id,
        "scopes": key.scopes,
        "start": key.start,
        "last_four": key.last_four,
        "state": state or key.state,
        "created_by": key.created_by.email,
        "created_at": to_rfc3339(key.created_at),
        "expires_at": to_rfc3339(key.expires_at),
        "last_used_at": to_rfc3339(key.last_used_at) if key.last_used_at else None,
        "last_used_ip": key.last_used_ip,
        "revoked_at": to_rfc3339(key.revoked_at) if key.revoked_at else None,
    }


def key_row(key: Any, query: Query | None = None) -> dict[str, Any]:
    """One row of the page."""
    copied = ("pk", "scopes", "start", "last_four", "state", "created_at", "expires_at", "last_used_at", "last_used_ip")
    return {name: getattr(key, name) for name in copied} | {
        "name": visible(key.name),
        "org_id": key.organization_id or "",
        "audit_url": ENTRIES.query(Term("id", str(key.pk))).url,
        "org_url": API_KEYS.query(Term("org", key.organization_id)).url if key.organization_id else "",
        "created_by": key.created_by.email,
        "ends_soon": key.state == "active" and key.expires_at - timezone.now() < SOON,
    }

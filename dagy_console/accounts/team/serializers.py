"""Members and invitations as the API answers them, and as the pages show them."""

from typing import Any

from django.urls import reverse

from dagy_console.accounts.models import Invitation
from dagy_console.core.times import to_rfc3339
from dagy_console.core.visible import visible
from dagy_console.listing.language import Query


def member_out(row: Any) -> dict[str, Any]:
    """One of `team.selectors.visible_to`."""
    return {
        "user_id": str(row.user_id),
        "email": row.email,
        "name": row.name,
        "org_id": row.organization_id,
        "role": row.role,
        "since": to_rfc3339(row.created_at),
    }


def member_row(row: Any, query: Query | None = None) -> dict[str, Any]:
    return {
        "user_id": row.user_id,
        "email": row.email,
        "name": visible(row.name),
        "org_id": row.organization_id,
        "org_name": visible(row.organization.name),
        "role": row.role,
        "since": row.created_at,
        "url": reverse("accounts:member", args=[row.organization_id, row.user_id]),
    }


def invitation_out(row: Invitation) -> dict[str, Any]:
    return {
        "id": str(row.pk),
        "org_id": row.organization_id,
        "email": row.email,
        "role": row.role,
        "expires_at": to_rfc3339(row.expires_at),
    }

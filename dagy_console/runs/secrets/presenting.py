"""Secrets as JSON and on pages: their names, never their values."""

from typing import Any

from dagy_console.core.times import to_rfc3339
from dagy_console.core.visible import visible
from dagy_console.listing.language import Query
from dagy_console.runs.models import Secret


def secret_out(secret: Secret) -> dict[str, Any]:
    return {
        "name": secret.name,
        "org_id": secret.organization_id,
        "created_at": to_rfc3339(secret.created_at),
        "updated_at": to_rfc3339(secret.updated_at),
        "updated_by": secret.updated_by,
    }


def secret_row(secret: Secret, query: Query | None = None) -> dict[str, Any]:
    return {
        "name": secret.name,
        "org_id": secret.organization_id,
        "updated_at": secret.updated_at,
        "updated_by": visible(secret.updated_by),
    }

"""Audit entries as JSON, and as the page shows them."""

import json
from typing import Any

from dagy_console.audit.actions import Action
from dagy_console.audit.models import AuditEntry
from dagy_console.core.times import to_rfc3339

_COPIED = (
    "action", "outcome", "org_id", "resource_type", "resource_id", "resource_name", "before", "after", "changes",
    "ip", "user_agent", "request_id", "session_id", "reason",
)  # fmt: skip


def entry_out(entry: AuditEntry) -> dict[str, Any]:
    """One entry of `GET /audit-logs`."""
    impersonator = {"id": entry.impersonator_id, "email": entry.impersonator_email} if entry.impersonator_id else None
    return {
        "id": str(entry.id),
        "at": to_rfc3339(entry.at),
        "actor": {
            "kind": entry.actor_kind,
            "id": entry.actor_id,
            "email": entry.actor_email,
            "role": entry.actor_role,
        },
        "impersonator": impersonator,
        **{name: getattr(entry, name) for name in _COPIED},
    }


def entry_row(entry: AuditEntry) -> dict[str, Any]:
    """One row of the page."""
    return {
        **{name: getattr(entry, name) for name in _COPIED},
        "id": entry.id,
        "at": entry.at,
        "actor_kind": entry.actor_kind,
        "actor_email": entry.actor_email,
        "impersonator_email": entry.impersonator_email,
        "description": _description(entry.action),
        "summary": _summary(entry),
        "before": _pretty(entry.before),
        "after": _pretty(entry.after),
    }


def _description(action: str) -> str:
    return next((known.description for known in Action if known == action), action)


def _summary(entry: AuditEntry) -> str:
    """What happened to what, in one line."""
    if entry.changes:
        return ", ".join(f"{name}: {old} → {new}" for name, (old, new) in entry.changes.items())[:300]
    return entry.resource_name or entry.resource_id


def _pretty(value: Any) -> str:
    return "" if value is None else json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True)

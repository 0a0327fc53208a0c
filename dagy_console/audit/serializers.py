"""Audit entries as JSON, and as the page shows them. `entry` comes from `selectors.visible_to`."""

import json
from collections.abc import Mapping
from typing import Any

from dagy_console.audit.actions import Action
from dagy_console.audit.search import ENTRIES
from dagy_console.audit.selectors import STAFF
from dagy_console.core.times import to_rfc3339
from dagy_console.core.visible import visible
from dagy_console.listing.language import Query, Term

_COPIED = (
    "action", "outcome", "org_id", "resource_type", "resource_id", "resource_name", "before", "after", "changes",
    "request_id", "reason",
)  # fmt: skip


def entry_out(entry: Any) -> dict[str, Any]:
    """One entry of `GET /audit-logs`; what the staff did names no person."""
    hidden = STAFF in (entry.shown_actor, entry.shown_impersonator)
    by = {"id": "" if hidden else entry.impersonator_id, "email": entry.shown_impersonator}
    return {
        "id": str(entry.id),
        "at": to_rfc3339(entry.at),
        "actor": {
            "kind": entry.actor_kind,
            "id": "" if entry.shown_actor == STAFF else entry.actor_id,
            "email": entry.shown_actor,
            "role": entry.actor_role,
        },
        "impersonator": by if entry.shown_impersonator else None,
        "ip": entry.shown_ip,
        "user_agent": entry.shown_agent or "",
        "session_id": "" if hidden else entry.session_id,
        **{name: getattr(entry, name) for name in _COPIED},
    }


def entry_row(entry: Any, query: Query | None = None) -> dict[str, Any]:
    """One row of the page, its texts made visible; each value leads to the entries that share it."""
    out = entry_out(entry)
    keys = {
        "action": entry.action,
        "actor": entry.shown_actor,
        "impersonator": entry.shown_impersonator,
        "org": entry.org_id,
        "resource": entry.resource_type,
        "id": entry.resource_id,
        "ip": entry.shown_ip,
        "request": entry.request_id,
    }
    texts = {
        **{name: str(out[name]) for name in ("org_id", "resource_id", "resource_name", "reason", "user_agent")},
        "actor_email": entry.shown_actor,
        "impersonator_email": entry.shown_impersonator,
        "summary": _summary(entry),
        "before": _pretty(entry.before),
        "after": _pretty(entry.after),
    }
    return (
        out
        | {name: visible(text) for name, text in texts.items()}
        | {
            "at": entry.at,
            "actor_kind": entry.actor_kind,
            "description": description_of(entry.action),
            "urls": {key: ENTRIES.query(Term(key, str(value))).url for key, value in keys.items() if value},
        }
    )


def description_of(action: str) -> str:
    return next((known.description for known in Action if known == action), action)


def _summary(entry: Any) -> str:
    """What happened to what, in one line."""
    changes: Mapping[str, Any] = entry.changes or {}
    changed = ", ".join(f"{name}: {old} → {new}" for name, (old, new) in changes.items())
    return " · ".join(filter(None, [entry.resource_name or entry.resource_id, changed]))[:300]


def _pretty(value: Any) -> str:
    return "" if value is None else json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True)

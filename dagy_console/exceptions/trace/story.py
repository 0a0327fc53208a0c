"""A request as one story: its traces, what it changed on record, and the runs it was about, in the order of time."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.urls import reverse

from dagy_console.audit import selectors as audit
from dagy_console.audit.models import AuditEntry
from dagy_console.audit.search import ENTRIES
from dagy_console.audit.serializers import entry_row
from dagy_console.core.actors import Actor
from dagy_console.core.permissions import Permission
from dagy_console.core.visible import visible
from dagy_console.exceptions import selectors
from dagy_console.exceptions.models import Trace
from dagy_console.exceptions.serializers import trace_url
from dagy_console.listing.language import Term
from dagy_console.runs.models import Run
from dagy_console.runs.selectors import runs_visible_to

MOST = 30


@dataclass(frozen=True, slots=True)
class Event:
    """`kind` is trace, change or run; `is_this` marks the trace whose page it is."""

    at: datetime
    kind: str
    text: str
    detail: str
    url: str
    is_this: bool = False


def story_of(actor: Actor, trace: Trace) -> list[Event]:
    """Oldest first; at most some thirty of each kind. Empty where there is nothing but the trace itself."""
    if not trace.request_id:
        return []
    traces = list(selectors.visible_to(actor).filter(request_id=trace.request_id).order_by("timestamp", "key")[:MOST])
    entries = _entries(actor, trace.request_id)
    named = {entry.resource_id for entry in entries if entry.resource_type == "run"} | {one.run_id for one in traces}
    events = [
        *(_of_trace(one, is_this=one.key == trace.key) for one in traces),
        *map(_of_entry, entries),
        *map(_of_run, _runs(actor, named)),
    ]
    return sorted(events, key=lambda event: event.at) if len(events) > 1 else []


def _entries(actor: Actor, request_id: str) -> list[AuditEntry]:
    if not actor.can_somewhere(Permission.AUDIT_READ):
        return []
    return list(ENTRIES.keyset.newest_first(audit.visible_to(actor).filter(request_id=request_id))[:MOST])


def _runs(actor: Actor, named: set[str]) -> list[Run]:
    if not actor.can_somewhere(Permission.RUNS_READ):
        return []
    return list(runs_visible_to(actor).filter(pk__in=[run for run in named if _is_id(run)])[:MOST])


def _is_id(text: str) -> bool:
    try:
        return bool(UUID(text))
    except ValueError:
        return False


def _of_trace(trace: Trace, *, is_this: bool) -> Event:
    name = visible(trace.exception_type) or "Unknown exception"
    return Event(trace.timestamp, "trace", name, visible(trace.message), trace_url(trace.key), is_this)


def _of_entry(entry: AuditEntry) -> Event:
    row = entry_row(entry)
    url = ENTRIES.query(Term("request", row["request_id"])).url
    who = row["actor_email"] or row["actor_kind"]
    return Event(row["at"], "change", f"{row['description']} ({row['action']})", f"{who} · {row['summary']}", url)


def _of_run(run: Run) -> Event:
    detail = " · ".join(filter(None, [run.status.lower(), visible(run.reason)]))
    return Event(run.created_at, "run", f"Run of {visible(run.flow.name)}", detail, reverse("runs:run", args=[run.pk]))

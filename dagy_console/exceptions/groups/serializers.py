"""Groups as JSON, and as the pages show them."""

from collections.abc import Sequence
from typing import Any

from dagy_console.audit.search import ENTRIES
from dagy_console.core.times import to_rfc3339
from dagy_console.core.visible import visible
from dagy_console.exceptions.models import TraceGroup
from dagy_console.exceptions.search import TRACES
from dagy_console.exceptions.serializers import group_url
from dagy_console.listing.language import Query, Term

SPARK_STEP, SPARK_HEIGHT = 4, 20


def group_out(group: Any) -> dict[str, Any]:
    """One item of `GET /admin/exceptions/groups`; `group` is of `selectors.visible_to`, or `spreading` is given."""
    return {
        "fingerprint": group.fingerprint,
        "title": group.title,
        "exception_type": group.exception_type,
        "count": group.count,
        "first_seen": to_rfc3339(group.first_seen),
        "last_seen": to_rfc3339(group.last_seen),
        "organizations": group.organizations,
        "spreading": group.spreading,
        "status": group.status,
        "regressed": group.regressed,
        "note": group.note,
        "status_at": to_rfc3339(group.status_at) if group.status_at else None,
        "status_by": group.status_by,
    }


def group_row(group: TraceGroup, query: Query | None = None) -> dict[str, Any]:
    """A group as the pages show it."""
    kind, _, place = group.title.partition(" · ")
    return {
        **{name: getattr(group, name) for name in _COPIED},
        "title": visible(group.title),
        "kind": visible(kind) or "Unknown exception",
        "place": visible(place),
        "note": visible(group.note),
        "spreading": getattr(group, "spreading", 0),
        "lately_url": TRACES.query(Term("group", group.fingerprint), Term("after", "-1h")).url,
        "url": group_url(group.fingerprint),
        "traces_url": TRACES.query(Term("group", group.fingerprint)).url,
        "audit_url": ENTRIES.query(Term("resource", "group"), Term("id", group.fingerprint)).url,
    }


_COPIED = (
    "fingerprint", "count", "first_seen", "last_seen", "organizations", "status", "status_at", "status_by",
    "regressed", "regressed_at",
)  # fmt: skip


def sparkline(counts: Sequence[int]) -> dict[str, Any]:
    """Bars of a small chart: `bars` with x, y, width, height; `peak`. Nothing is drawn where there are no counts."""
    peak = max(counts, default=0)
    heights = [max(round(count / peak * SPARK_HEIGHT, 1), 1.5) if count else 0 for count in counts] if peak else []
    return {
        "width": SPARK_STEP * len(counts),
        "height": SPARK_HEIGHT,
        "peak": peak,
        "total": sum(counts),
        "bars": [
            {"x": number * SPARK_STEP, "y": SPARK_HEIGHT - height, "width": SPARK_STEP - 1, "height": height}
            for number, height in enumerate(heights)
            if height
        ],
    }

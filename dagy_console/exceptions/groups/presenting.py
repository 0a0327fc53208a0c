"""The parts of a group's page."""

from collections.abc import Sequence
from typing import Any

from dagy_console.core.actors import Actor
from dagy_console.core.visible import visible
from dagy_console.core.words import share
from dagy_console.exceptions.groups import selectors
from dagy_console.exceptions.groups.differing import Differences
from dagy_console.exceptions.groups.serializers import group_row, sparkline
from dagy_console.exceptions.groups.sharing import Shared
from dagy_console.exceptions.models import TraceGroup
from dagy_console.exceptions.search import TRACES, TraceQuery, titles_of
from dagy_console.listing.language import Term

# What a group has one value of.
_ITS_OWN = frozenset(("type", "group"))
_WORDS = {
    "type": "The type of the exception",
    "frame": "A frame of the application",
    "root": "The type of the first exception of the chain",
    "message": "No frames: the message, with what differs named by its kind",
    "syntax": "The file that could not be read",
    "member": "An exception of the group",
}


def sparklines_of(groups: Sequence[TraceGroup]) -> list[dict[str, Any]]:
    """For each group the chart of its last 24 hours."""
    counts = selectors.sparklines(groups)
    return [{"spark": sparkline(counts.get(group.fingerprint, []))} for group in groups]


def home_groups(actor: Actor, *, limit: int = 5) -> dict[str, list[dict[str, Any]]]:
    """The worst of the last hour, each with its traces of then (`lately`), and those that are new."""
    worst, fresh = selectors.worst(actor, limit=limit), selectors.newest(actor, limit=limit)
    groups = [*(group for group, _ in worst), *fresh]
    rows = [group_row(group) | spark for group, spark in zip(groups, sparklines_of(groups), strict=True)]
    return {
        "worst": [row | {"lately": count} for row, (_, count) in zip(rows[: len(worst)], worst, strict=True)],
        "fresh": rows[len(worst) :],
    }


def group_of(fingerprint: str) -> dict[str, Any] | None:
    """The group of a trace, with its last 24 hours."""
    group = TraceGroup.objects.filter(pk=fingerprint).first()
    return group_row(group) | sparklines_of([group])[0] if group else None


def why(group: TraceGroup) -> list[dict[str, str]]:
    """Which lines were hashed, and what each is; empty where it is not known."""
    lines = [line.partition(" ") for line in group.canonical.splitlines() if not line.startswith(" ")]
    return [{"what": _WORDS.get(kind, kind), "value": visible(value)} for kind, _, value in lines]


def other_facets(facets: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [facet for facet in facets if facet["key"] not in _ITS_OWN]


def differences_rows(query: TraceQuery, found: Differences) -> dict[str, Any]:
    """Sentences such as "org_17: 97 % here, 3 % of the others", each a door to its traces."""
    titles = titles_of([item.value for item in found.items if item.key == "group"])
    return {
        "total_out": found.total_out,
        "items": [
            {
                "heading": TRACES.key(item.key).heading,
                "value": visible(titles.get(item.value, item.value)),
                "share_in": share(100 * item.share_in),
                "share_out": share(100 * item.share_out),
                "width_in": round(100 * item.share_in, 1),
                "width_out": round(100 * item.share_out, 1),
                "lift": f"{item.lift:.1f} ×" if item.lift and item.lift < 1_000 else "only here",
                "url": query.with_term(Term(item.key, item.value)).url,
            }
            for item in found.items
            if item.key not in _ITS_OWN
        ],
    }


def shared_rows(shared: Shared) -> dict[str, Any]:
    return {
        "sample": shared.sample,
        "others": shared.others,
        "is_enough": shared.is_enough,
        "facts": [
            {
                "name": visible(fact.name),
                "value": visible(fact.value),
                "count": fact.count,
                "elsewhere": fact.elsewhere,
            }
            for fact in shared.facts
        ],
    }

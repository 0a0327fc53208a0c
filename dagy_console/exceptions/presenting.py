"""Rows of traces as the pages show them, with what their groups are called."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any

from dagy_console.core.visible import visible
from dagy_console.exceptions.models import Trace
from dagy_console.exceptions.search import TraceQuery, titles_of
from dagy_console.exceptions.serializers import trace_row

LEAST_REPEATS = 4


def trace_rows(traces: Sequence[Trace], query: TraceQuery | None = None) -> list[dict[str, Any]]:
    return [trace_row(trace, query) | named for trace, named in zip(traces, groups_beside(traces), strict=True)]


def beside(traces: Sequence[Trace]) -> list[dict[str, Any]]:
    """What a page of the list says of each row besides: its group, and whether it is one of many in a row."""
    return [named | folded for named, folded in zip(groups_beside(traces), _folded(traces), strict=True)]


def _folded(traces: Sequence[Trace]) -> Iterator[dict[str, Any]]:
    """Neighbours of one group are shown as the first of them and how many `repeats` follow, as far back as when."""
    for run, (_, members) in enumerate(groupby(traces, key=_kind)):
        same = list(members)
        repeats = len(same) - 1 if len(same) >= LEAST_REPEATS else 0
        yield {
            "run": run,
            "is_repeat": False,
            "repeats": repeats,
            "repeats_since": same[-1].timestamp,
            "repeats_of": len({trace.org_id for trace in same}),
        }
        yield from ({"run": run, "is_repeat": repeats > 0, "repeats": 0} for _ in same[1:])


def _kind(trace: Trace) -> tuple[str, str]:
    return trace.fingerprint, trace.exception_type


def groups_beside(traces: Iterable[Trace]) -> list[dict[str, Any]]:
    """For each trace what its group is called, whole (`group_title`) and without the type (`group_place`)."""
    fingerprints = [trace.fingerprint for trace in traces]
    titles = titles_of(list(set(fingerprints)))
    return [_named(titles.get(fingerprint, fingerprint)) for fingerprint in fingerprints]


def _named(title: str) -> dict[str, str]:
    return {"group_title": visible(title), "group_place": visible(title.partition(" · ")[2] or title)}

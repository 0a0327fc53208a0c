"""Rows of traces as the pages show them, with what their groups are called."""

from collections.abc import Iterable, Sequence
from typing import Any

from dagy_console.core.visible import visible
from dagy_console.exceptions.models import Trace
from dagy_console.exceptions.search import TraceQuery, titles_of
from dagy_console.exceptions.serializers import trace_row


def trace_rows(traces: Sequence[Trace], query: TraceQuery | None = None) -> list[dict[str, Any]]:
    return [trace_row(trace, query) | named for trace, named in zip(traces, groups_beside(traces), strict=True)]


def groups_beside(traces: Iterable[Trace]) -> list[dict[str, str]]:
    """For each trace what its group is called, whole (`group_title`) and without the type (`group_place`)."""
    fingerprints = [trace.fingerprint for trace in traces]
    titles = titles_of(list(set(fingerprints)))
    return [_named(titles.get(fingerprint, fingerprint)) for fingerprint in fingerprints]


def _named(title: str) -> dict[str, str]:
    return {"group_title": visible(title), "group_place": visible(title.partition(" · ")[2] or title)}

"""The search page's parts: facets whose clicks edit the query, and the histogram's geometry."""

from typing import Any

from dagy_console.core.times import to_minute, to_rfc3339
from dagy_console.core.words import counted, duration, number
from dagy_console.exceptions.search import TIMES, Term, TraceQuery
from dagy_console.exceptions.serializers import search_url
from dagy_console.exceptions.summary import FACETS, Bucket, FacetCount, Summary

WIDTH, HEIGHT = 960, 72
RANGES = {"1 h": "-1h", "24 h": "-24h", "7 d": "-7d", "30 d": "-30d", "all": ""}


def terms(query: TraceQuery) -> list[dict[str, Any]]:
    """The query's terms, each with the link that takes it away."""
    return [
        {"text": term.text, "negated": term.negated, "remove_url": search_url(query.without(term))}
        for term in query.terms
    ]


def ranges(query: TraceQuery) -> list[dict[str, Any]]:
    """Links to the usual time ranges."""
    now = query.values("after")[0] if query.values("after") else ""
    rest = query.without_key(*TIMES)
    return [
        {
            "label": label,
            "url": search_url(rest.with_term(Term("after", value)) if value else rest),
            "current": value == now and not query.values("before"),
        }
        for label, value in RANGES.items()
    ]


def summary_context(query: TraceQuery, summary: Summary) -> dict[str, Any]:
    return {
        "total": summary.total,
        "organizations": summary.distinct("org"),
        "groups": summary.distinct("group"),
        "facets": [_facet(query, facet, summary.total or 0) for facet in summary.facets if facet.values],
        "histogram": _histogram(query, summary.buckets),
    }


def _facet(query: TraceQuery, facet: FacetCount, total: int) -> dict[str, Any]:
    return {
        "key": facet.key,
        "label": FACETS[facet.key][1],
        "more": max(0, facet.distinct - len(facet.values)),
        "values": [_value(query, facet.key, value, count, total) for value, count in facet.values],
    }


def _value(query: TraceQuery, key: str, value: str, count: int, total: int) -> dict[str, Any]:
    term, excluded = Term(key, value), Term(key, value, negated=True)
    return {
        "value": value,
        "label": value or "(none)",
        "count": count,
        "share": round(100 * count / total) if total else 0,
        # An empty value cannot be searched for; it is shown and leads nowhere.
        "add_url": search_url(query.with_term(term)) if value else None,
        "exclude_url": search_url(query.with_term(excluded)) if value else None,
        "remove_url": search_url(query.without(term)),
        "selected": term in query.terms,
        "excluded": excluded in query.terms,
    }


def _histogram(query: TraceQuery, buckets: list[Bucket]) -> dict[str, Any] | None:
    if not buckets:
        return None
    peak = max(buckets, key=lambda bucket: bucket.count)
    mean = sum(bucket.count for bucket in buckets) / len(buckets)
    step = WIDTH / len(buckets)
    rest = query.without_key(*TIMES)
    bars = [
        {
            "x": round(index * step, 2),
            "width": round(max(step - 2, step * 0.7), 2),
            "height": (height := round(bucket.count / peak.count * HEIGHT, 2)),
            "y": round(HEIGHT - height, 2),
            "count": bucket.count,
            "start": bucket.start,
            "end": bucket.end,
            "label": f"{counted(bucket.count, 'trace')} from {to_minute(bucket.start)} to {to_minute(bucket.end)}",
            "url": _between(rest, bucket),
            # Three times the usual is what an eye should stop at.
            "hot": bucket.count > 3 * mean,
        }
        for index, bucket in enumerate(buckets)
    ]
    return {
        "buckets": bars,
        "view_width": WIDTH,
        "view_height": HEIGHT,
        "peak": peak.count,
        "start": buckets[0].start,
        "end": buckets[-1].end,
        "label": (
            f"Traces per {duration(buckets[0].end - buckets[0].start)}, "
            f"peak {number(peak.count)} at {to_minute(peak.start)}"
        ),
    }


def _between(rest: TraceQuery, bucket: Bucket) -> str:
    start, end = Term("after", to_rfc3339(bucket.start)), Term("before", to_rfc3339(bucket.end))
    return search_url(rest.with_term(start).with_term(end))

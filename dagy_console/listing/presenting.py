"""A search page's parts: terms that can be taken away, facets whose clicks edit the query, the chart's geometry."""

from datetime import UTC, datetime
from statistics import median
from typing import Any

from django.utils.text import capfirst

from dagy_console.core.times import to_minute
from dagy_console.core.visible import visible
from dagy_console.core.words import counted, duration
from dagy_console.listing.language import SORT, TEXT, TIMES, Listing, Query, Term
from dagy_console.listing.summary import Bucket, FacetCount, Summary

WIDTH, HEIGHT = 960, 72
RANGES = {"1 h": "-1h", "24 h": "-24h", "7 d": "-7d", "30 d": "-30d", "all": ""}
# The parameter that asks for all values of a facet.
WHOLE = "values"
_TIME_EXAMPLES = {"after": "-24h or 2026-01-15", "before": "2026-01-15T03:00Z"}


def terms(query: Query) -> list[dict[str, Any]]:
    """The query's terms, each with the link that takes it away."""
    return [
        {"text": visible(term.text), "negated": term.negated, "remove_url": query.without(term).url}
        for term in query.terms
        if term.key != SORT
    ]


def sorts(query: Query) -> list[dict[str, Any]]:
    """Links to the orders that the list has."""
    rest = query.without_key(SORT)
    usual = next(iter(query.listing.sorts), "")
    return [
        {
            "label": capfirst(name.replace("_", " ")),
            "url": rest.url if name == usual else rest.with_term(Term(SORT, name)).url,
            "current": name == query.sort,
        }
        for name in query.listing.sorts
    ]


def ranges(query: Query) -> list[dict[str, Any]]:
    """Links to the usual time ranges."""
    now = query.values("after")[0] if query.values("after") else ""
    rest = query.without_key(*TIMES)
    return [
        {
            "label": label,
            "url": rest.with_term(Term("after", value)).url if value else rest.url,
            "current": value == now and not query.values("before"),
        }
        for label, value in RANGES.items()
    ]


def field_names(listing: Listing) -> tuple[str, ...]:
    """The fields of the form that stands beside the box, for who does not want to learn the language."""
    return (*(key.name for key in listing.keys if key.heading), *TIMES, TEXT)


def fields(query: Query) -> dict[str, Any]:
    """That form: a field each, and in `rest` the terms that no field holds, so that submitting it loses none."""
    listing = query.listing
    headings = {key.name: (key.heading, key.example) for key in listing.keys if key.heading}
    headings |= {name: (name.capitalize(), example) for name, example in _TIME_EXAMPLES.items()}
    headings[TEXT] = (listing.text_heading, "")
    first: dict[str, Term] = {}
    for term in query.terms:
        if not term.negated and term.key in headings:
            first.setdefault(term.key, term)
    held = set(first.values())
    return {
        "fields": [
            {
                "name": name,
                "label": heading,
                "placeholder": example,
                "value": first[name].value if name in first else "",
            }
            for name, (heading, example) in headings.items()
        ],
        "rest": listing.query(*(term for term in query.terms if term not in held)).text,
    }


def summary_context(query: Query, summary: Summary, *, whole: str = "") -> dict[str, Any]:
    """`whole` names the facet that was asked for with all its values."""
    return {
        "total": summary.total,
        "at_least": summary.at_least,
        "of_newest": summary.of_newest,
        "counts": [
            counted(summary.distinct(key.name), key.heading.lower())
            for key in query.listing.facets
            if key.counted and summary.facets
        ],
        "facets": [_facet(query, facet, summary.count, whole=whole) for facet in summary.facets if facet.values],
        "histogram": _histogram(query, summary.buckets),
    }


def _facet(query: Query, facet: FacetCount, total: int, *, whole: str) -> dict[str, Any]:
    key = query.listing.key(facet.key)
    named = key.labels([value for value, _ in facet.values]) if key.labels else {}
    return {
        "key": facet.key,
        "label": key.heading,
        "more": max(0, facet.distinct - len(facet.values)),
        "more_url": None if facet.key == whole else query.url_with(**{WHOLE: facet.key}),
        "fewer_url": query.url if facet.key == whole else None,
        "values": [
            _value(query, facet.key, value, count, total) | {"label": visible(named.get(value, value)) or "none"}
            for value, count in facet.values
        ],
    }


def _value(query: Query, key: str, value: str, count: int, total: int) -> dict[str, Any]:
    term, excluded = Term(key, value), Term(key, value, negated=True)
    return {
        "value": value,
        "count": count,
        "share": round(100 * count / total) if total else 0,
        # An empty value cannot be searched for; it is shown and leads nowhere.
        "add_url": query.with_term(term).url if value else None,
        "exclude_url": query.with_term(excluded).url if value else None,
        "remove_url": query.without(term).url,
        "selected": term in query.terms,
        "excluded": excluded in query.terms,
    }


def _histogram(query: Query, buckets: list[Bucket]) -> dict[str, Any] | None:
    if not buckets:
        return None
    noun = query.listing.noun
    peak = max(buckets, key=lambda bucket: bucket.count)
    hot = _hot([bucket.count for bucket in buckets])
    step = WIDTH / len(buckets)
    rest = query.without_key(*TIMES)
    bars = [
        {
            "x": round(index * step, 2),
            "width": round(max(step - 2, step * 0.7), 2),
            "height": (height := round(bucket.count / (peak.count or 1) * HEIGHT, 2)),
            "y": round(HEIGHT - height, 2),
            "count": bucket.count,
            "label": f"{counted(bucket.count, noun)} from {to_minute(bucket.start)} to {to_minute(bucket.end)}",
            "url": _between(rest, bucket),
            "hot": hot[index],
        }
        for index, bucket in enumerate(buckets)
    ]
    return {
        "buckets": bars,
        "view_width": WIDTH,
        "view_height": HEIGHT,
        "rest": rest.text,
        "peak": peak.count,
        "start": buckets[0].start,
        "end": buckets[-1].end,
        "peak_at": peak.start,
        "label": f"{capfirst(query.listing.plural)} per {duration(buckets[0].end - buckets[0].start)}",
    }


# What an eye should stop at: so many, and three times what was usual in the bars before it.
FLOOR, TIMES_USUAL, BARS_BEFORE, LEAST_BARS = 10, 3, 24, 3


def _hot(counts: list[int]) -> list[bool]:
    return [
        count >= FLOOR and len(before := counts[max(0, at - BARS_BEFORE) : at]) >= LEAST_BARS
        and count > TIMES_USUAL * median(before)
        for at, count in enumerate(counts)
    ]  # fmt: skip


def _between(rest: Query, bucket: Bucket) -> str:
    return rest.with_term(Term("after", _minute(bucket.start))).with_term(Term("before", _minute(bucket.end))).url


def _minute(at: datetime) -> str:
    """Bars begin and end at full minutes."""
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%MZ}"

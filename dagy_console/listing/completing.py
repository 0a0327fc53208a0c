"""What the search box offers while somebody types: the keys of the list, then the values that a key has most often."""

from dataclasses import dataclass
from typing import Any

from django.db.models import Count, QuerySet, Sum

from dagy_console.core.database import TookTooLong, time_limit
from dagy_console.core.forms import is_storable
from dagy_console.core.words import number
from dagy_console.listing.finding import ASIDE_SECONDS
from dagy_console.listing.language import MAX_LENGTH, SORT, TIMES, Key, Listing, Term
from dagy_console.listing.models import DayCount

MOST = 8
_TIMES = {"-15m": "15 minutes", "-1h": "an hour", "-24h": "a day", "-7d": "a week", "-30d": "30 days"}


@dataclass(frozen=True, slots=True)
class Completion:
    """`text` is the whole search with its last term completed; `label` says what that is."""

    text: str
    label: str


def completions(listing: Listing, rows: QuerySet[Any], text: str) -> list[Completion]:
    """For the term that `text` ends with, of what there is among `rows`; none where it is
    in quotes."""
    before, _, term = text[:MAX_LENGTH].rpartition(" ")
    before = f"{before} " if before else ""
    sign = "-" if term.startswith("-") else ""
    name, colon, value = term.removeprefix("-").partition(":")
    if '"' in term or not is_storable(term):
        return []
    if not colon:
        found = [(f"{key}:", label) for key, label in _keys(listing).items() if key.startswith(name.lower())]
    else:
        found = [(Term(name.lower(), one).text, label) for one, label in _values(listing, rows, name.lower(), value)]
    return [Completion(f"{before}{sign}{said}", label) for said, label in found[:MOST]]


def _keys(listing: Listing) -> dict[str, str]:
    keys = {key.name: key.heading for key in listing.keys if key.heading}
    orders = {SORT: "Order"} if listing.sorts else {}
    return keys | {name: f"Time: {name}" for name in TIMES} | orders


def _values(listing: Listing, rows: QuerySet[Any], name: str, begun: str) -> list[tuple[str, str]]:
    if name in TIMES:
        return [(value, f"{label} ago") for value, label in _TIMES.items() if value.startswith(begun)]
    if name == SORT:
        return [(value, "") for value in listing.sorts if value.startswith(begun)]
    key = next((key for key in listing.keys if key.name == name), None)
    if key is None:
        return []
    if key.values:
        return [(value, "") for value in key.values if value.startswith(begun)]
    return _most_frequent(listing, rows, key, begun) if key.facet else []


def _most_frequent(listing: Listing, rows: QuerySet[Any], key: Key, begun: str) -> list[tuple[str, str]]:
    """Values that begin so, the most frequent first: by the days that are counted, or by the rows themselves where
    somebody sees not all of them."""
    try:
        with time_limit(ASIDE_SECONDS):
            if listing.source and not rows.query.where:
                counted = DayCount.objects.filter(
                    source=listing.source, given_column="", given_value="", column=key.column
                )
                begins = Key(key.name, "value").match(f"{begun}*")
                values = counted.filter(begins).values_list("value").annotate(n=Sum("count"))
            else:
                values = rows.filter(key.match(f"{begun}*")).order_by().values_list(key.column).annotate(n=Count("*"))
            found = [(str(value), int(count)) for value, count in values.order_by("-n")[:MOST] if value]
    except TookTooLong:
        return []
    named = key.labels([value for value, _ in found]) if key.labels else {}
    return [(value, " · ".join(filter(None, [named.get(value, ""), number(count)]))) for value, count in found]

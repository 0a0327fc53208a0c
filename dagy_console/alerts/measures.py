"""What rules can watch. The apps above register their measures in `apps.py`: each is one query over one list."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count, QuerySet

from dagy_console.core.errors import Invalid
from dagy_console.core.permissions import Permission
from dagy_console.listing.language import SORT, TIMES, BadQuery, Listing, Query

# Values of the dimensions of one rule; more are no alerts any more, but noise.
MOST_VALUES = 200


@dataclass(frozen=True, slots=True)
class Measure:
    """Counts `rows` of `listing` that a query matches. `unit` is what they are, in the singular. `permission` is what
    who watches it must have. `org` is the rows' organization, `of` narrows to one."""

    name: str
    label: str
    unit: str
    listing: Listing
    permission: Permission
    rows: Callable[[], QuerySet[Any]]
    of: Callable[[QuerySet[Any], str], QuerySet[Any]]

    @property
    def dimensions(self) -> tuple[str, ...]:
        return tuple(key.name for key in self.listing.facets)

    def parse(self, text: str) -> Query:
        """A rule has its own window and no order. Raises Invalid."""
        try:
            query = self.listing.parse(text)
        except BadQuery as error:
            raise Invalid.field("query", f"{error.message} (at character {error.position + 1})") from None
        if any(term.key in (*TIMES, SORT) for term in query.terms):
            raise Invalid.field("query", "takes no time and no order: the rule has its window")
        return query

    def values(
        self, query: Query, *, org_id: str, group_by: Sequence[str], start: datetime, end: datetime
    ) -> dict[tuple[str, ...], float]:
        """Values of the dimensions -> how many there are from `start` to `end`; without dimensions () -> all."""
        rows = self.of(self.rows(), org_id) if org_id else self.rows()
        time = self.listing.time
        found = rows.filter(query.as_q(), **{f"{time}__gte": start, f"{time}__lt": end}).order_by()
        if not group_by:
            return {(): float(found.count())}
        columns = [self.listing.key(name).column for name in group_by]
        counted = found.values_list(*columns).annotate(n=Count("*")).order_by("-n")[:MOST_VALUES]
        return {tuple("" if value is None else str(value) for value in row[:-1]): float(row[-1]) for row in counted}


_measures: dict[str, Measure] = {}


def register(measure: Measure) -> None:
    _measures[measure.name] = measure


def known() -> list[Measure]:
    return sorted(_measures.values(), key=lambda measure: measure.name)


def get(name: str) -> Measure:
    """Raises Invalid."""
    if name not in _measures:
        raise Invalid.field("measure", f"must be one of {', '.join(sorted(_measures))}")
    return _measures[name]

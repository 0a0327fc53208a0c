"""What rules can watch: a registry. The apps above register theirs in `apps.py`; a new one is one small class."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from dagy_console.core.errors import Invalid
from dagy_console.core.permissions import Permission
from dagy_console.core.words import counted, duration, share
from dagy_console.listing.language import SORT, TIMES, BadQuery, Listing, Query

# Values of the dimensions of one rule; more are no alerts any more, but noise.
MOST_VALUES = 200
SECOND, PERCENT = "second", "%"

# Values of the dimensions -> what is measured for them; without dimensions () -> all.
Values = dict[tuple[str, ...], float]


@dataclass(frozen=True, slots=True)
class Asked:
    """What a measure is over [`start`, `end`), of the rows that `query` finds, of one organization or with "" of all,
    for each value of the keys `group_by`."""

    query: str
    org_id: str
    group_by: tuple[str, ...]
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Broken:
    """Why one question could not be answered: a sentence."""

    problem: str


class Measure(ABC):
    """`unit` is what is counted, in the singular, or SECOND or PERCENT. `permission` is what who watches it must have.
    `listing` says what it can be narrowed by, in its search language, and what its dimensions are."""

    name: str
    label: str
    unit: str
    help: str
    permission: Permission
    listing: Listing
    # Keys besides the listing's facets that can be dimensions.
    more_dimensions: tuple[str, ...] = ()
    # Whether it can be told what it was: else it is what is found at the moment of the check.
    has_history = True
    # Whether nothing found is 0. Else it is no data.
    is_count = False
    # Whether it looks at a window of time.
    has_window = True
    # Whether organizations can have rules of it.
    for_organizations = True

    @abstractmethod
    def values(self, asked: Sequence[Asked]) -> list[Values | Broken]:
        """An answer to each, in their order; as few statements as can be."""

    def listing_for(self, org_id: str) -> Listing:
        """What a rule of the organization may search by."""
        return self.listing

    def details(self, asked: Asked) -> dict[str, str]:
        """What a message says of it besides: lines of name and value."""
        return {}

    def stale(self) -> str:
        """Why what it looks at may not be complete, as a sentence: nothing is called resolved then. "": it is."""
        return ""

    def dimensions(self, org_id: str = "") -> tuple[str, ...]:
        return (*(key.name for key in self.listing_for(org_id).facets), *self.more_dimensions)

    def parse(self, text: str, org_id: str = "") -> Query:
        """A rule has its own window and no order. Raises Invalid."""
        try:
            query = self.listing_for(org_id).parse(text)
        except BadQuery as error:
            raise Invalid.field("query", f"{error.message} (at character {error.position + 1})") from None
        if any(term.key in (*TIMES, SORT) for term in query.terms):
            raise Invalid.field("query", "takes no time and no order: the rule has its window")
        return query

    def say(self, value: float) -> str:
        """ "214 traces", "12 min", "41 %"."""
        if self.unit == SECOND:
            return duration(value)
        return share(value) if self.unit == PERCENT else counted(round(value), self.unit)


_measures: dict[str, Measure] = {}


def register(*found: Measure) -> None:
    _measures.update({measure.name: measure for measure in found})


def known() -> list[Measure]:
    """In the order in which they were registered: the most asked for come first."""
    return list(_measures.values())


def get(name: str) -> Measure:
    """Raises Invalid."""
    if name not in _measures:
        raise Invalid.field("measure", f"must be one of {', '.join(sorted(_measures))}")
    return _measures[name]

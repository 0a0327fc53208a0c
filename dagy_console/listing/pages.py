"""Keyset pages: stable while rows arrive, and as fast on page 200 as on page 1."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from django.core import signing
from django.db.models import F, Model, Q, QuerySet

from dagy_console.core.errors import Invalid
from dagy_console.core.times import parse_time, to_rfc3339

DEFAULT_LIMIT = 50
MAX_LIMIT = 200
RowT = TypeVar("RowT")
ModelT = TypeVar("ModelT", bound=Model)
Place = datetime | int


@dataclass(frozen=True, slots=True)
class Page(Generic[RowT]):
    """Rows, newest first. `next_cursor` is None where they end."""

    rows: Sequence[RowT]
    next_cursor: str | None = None
    is_first: bool = True


@dataclass(frozen=True, slots=True)
class Keyset:
    """The total order of a list, newest first: a time field (or a number, the largest first), then a unique field that
    breaks ties."""

    time: str
    tie: str

    def page(self, rows: QuerySet[ModelT], *, limit: int = DEFAULT_LIMIT, cursor: str = "") -> Page[ModelT]:
        """The page after `cursor` ("" is the first). Raises Invalid for a cursor that this list did not give out."""
        if cursor:
            rows = rows.filter(self._below(*self._decode(cursor)))
        found = list(self.newest_first(rows)[: limit + 1])
        shown = found[:limit]
        more = len(found) > limit
        return Page(shown, self.cursor_of(shown[-1]) if more else None, is_first=not cursor)

    def newest_first(self, rows: QuerySet[ModelT]) -> QuerySet[ModelT]:
        return rows.order_by(F(self.time).desc(), F(self.tie).desc())

    def below(self, rows: QuerySet[ModelT], row: ModelT) -> QuerySet[ModelT]:
        """What is older than `row`, the nearest first."""
        return self.newest_first(rows.filter(self._below(*self._place(row))))

    def above(self, rows: QuerySet[ModelT], row: ModelT) -> QuerySet[ModelT]:
        """What is newer than `row`, the nearest first."""
        return rows.filter(self._above(*self._place(row))).order_by(F(self.time).asc(), F(self.tie).asc())

    def _above(self, when: Place, tie: Any) -> Q:
        # The first condition alone is what an index and partition pruning can use; the second only breaks ties.
        return Q(**{f"{self.time}__gte": when}) & (Q(**{f"{self.time}__gt": when}) | Q(**{f"{self.tie}__gt": tie}))

    def newer(self, rows: QuerySet[ModelT], cursor: str) -> QuerySet[ModelT]:
        """What is newer than the row of the cursor. Raises Invalid as `page` does."""
        return rows.filter(self._above(*self._decode(cursor)))

    def _below(self, when: Place, tie: Any) -> Q:
        return Q(**{f"{self.time}__lte": when}) & (Q(**{f"{self.time}__lt": when}) | Q(**{f"{self.tie}__lt": tie}))

    def _place(self, row: Model) -> tuple[Place, Any]:
        return getattr(row, self.time), getattr(row, self.tie)

    def cursor_of(self, row: Model) -> str:
        when, tie = self._place(row)
        said = when if isinstance(when, int) else to_rfc3339(when)
        return signing.dumps([self.time, self.tie, said, str(tie)], salt="cursor")

    def _decode(self, cursor: str) -> tuple[Place, str]:
        try:
            *order, when, tie = signing.loads(cursor, salt="cursor")
            if order != [self.time, self.tie]:
                raise ValueError(order)
            return when if isinstance(when, int) else parse_time(when), tie
        except (signing.BadSignature, ValueError, TypeError):
            message = "not a cursor of this list: take next_cursor of the page before, or leave it out to start anew"
            raise Invalid.field("cursor", message) from None

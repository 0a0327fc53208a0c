"""Measures over the rows of a list: one statement for all rules that differ in their values alone.

Django writes the query of a rule once. Rules of the same text are asked together: their values are columns of a table
that is joined to the query, so that PostgreSQL plans it once, and walks the index that it chose for each of them.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any
from uuid import UUID

import structlog
from django.db import DatabaseError, connection
from django.db.models import Count, DateTimeField, F, Func, Q, QuerySet, Value
from django.db.models.expressions import Combinable

from dagy_console.alerts import measures
from dagy_console.alerts.measures import MOST_VALUES, Asked, Broken, Measure, Values
from dagy_console.core.database import TookTooLong, time_limit
from dagy_console.core.errors import ConsoleError

log = structlog.get_logger(__name__)
QUERY_SECONDS = 2
TOO_LONG = Broken(f"Its query takes longer than {QUERY_SECONDS} s: narrow it, or its window.")
REFUSED = Broken("The database refused its query.")
# So many rows of values are joined at once.
TOGETHER = 2_000
# Stand for the window in the query that Django writes.
START, END = datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC), datetime(1970, 1, 1, 0, 0, 2, tzinfo=UTC)
_TYPES = {str: "text", int: "bigint", float: "float8", bool: "boolean", datetime: "timestamptz", UUID: "uuid"}

# The values of the dimensions, a step's beginning, how many there are in it.
Bucket = tuple[tuple[str, ...], datetime, float]


class RowsMeasure(Measure):
    """Counts rows, or takes another aggregate of them, for each value of the dimensions."""

    is_count = True
    # Whether what it is over two windows is the sum of both.
    adds_up = True

    def rows(self) -> QuerySet[Any]:
        raise NotImplementedError

    def of(self, rows: QuerySet[Any], org_id: str) -> QuerySet[Any]:
        return rows.filter(org_id=org_id)

    def within(self, start: datetime, end: datetime) -> Q:
        """The rows of a window."""
        return Q(**{f"{self.time}__gte": start, f"{self.time}__lt": end})

    def value(self, start: datetime, end: datetime) -> Combinable:
        return Count("*")

    def of_nothing(self, asked: Asked) -> float | None:
        """What it is where no row is found, without dimensions; None: no data."""
        return 0.0 if self.is_count else None

    @property
    def time(self) -> str:
        """The column by which a row falls into a window; it has an index."""
        return self.listing.time

    def column(self, name: str) -> str:
        return self.listing.key(name).column

    def values(self, asked: Sequence[Asked]) -> list[Values | Broken]:
        """Rules that ask the same are answered by one row."""
        different = list(dict.fromkeys(asked))
        answers = dict(zip(different, self._answers(different), strict=True))
        return [answers[one] for one in asked]

    def _answers(self, asked: Sequence[Asked]) -> list[Values | Broken]:
        answers: list[Values | Broken] = [{} for _ in asked]
        together: dict[str, list[int]] = defaultdict(list)
        compiled: dict[int, Compiled] = {}
        for number, one in enumerate(asked):
            try:
                compiled[number] = found = self.compiled(one)
            except ConsoleError as error:
                answers[number] = Broken(error.detail)
            else:
                together[found.shape].append(number)
        for numbers in together.values():
            for first in range(0, len(numbers), TOGETHER):
                part = numbers[first : first + TOGETHER]
                found_values = ask(compiled[part[0]], [(compiled[one].values, asked[one]) for one in part])
                for number, answer in zip(part, found_values, strict=True):
                    answers[number] = self._completed(asked[number], answer)
        return answers

    def buckets(self, asked: Asked, step: timedelta, *, most: int) -> list[Bucket] | Broken:
        """Counts over the steps of a window, of those that have any."""
        found = self.found(asked)
        columns = [self.column(name) for name in asked.group_by]
        bins = Func(Value(step), F(self.time), Value(asked.end), function="date_bin", output_field=DateTimeField())
        counted = found.annotate(bin=bins).values(*columns, "bin").annotate(measured=Count("*"))
        try:
            with time_limit(QUERY_SECONDS):
                told = list(counted.order_by("bin").values_list(*columns, "bin", "measured")[:most])
        except TookTooLong:
            return TOO_LONG
        return [(_key(row[:-2]), row[-2], float(row[-1])) for row in told]

    def found(self, asked: Asked) -> QuerySet[Any]:
        """The rows. Raises Invalid."""
        rows = self.of(self.rows(), asked.org_id) if asked.org_id else self.rows()
        return rows.filter(self.parse(asked.query, asked.org_id).as_q(), self.within(asked.start, asked.end)).order_by()

    def compiled(self, asked: Asked) -> "Compiled":
        """Raises Invalid."""
        return compiled_query(self.name, asked.query, asked.org_id, asked.group_by)

    def _completed(self, asked: Asked, answer: Values | Broken) -> Values | Broken:
        if isinstance(answer, Broken) or asked.group_by or answer:
            return answer
        nothing = self.of_nothing(asked)
        return {} if nothing is None else {(): nothing}

    def question(self, query: str, org_id: str, group_by: Iterable[str]) -> QuerySet[Any]:
        """The values of the dimensions, and the aggregate, over [START, END). Raises Invalid."""
        found = self.found(Asked(query, org_id, tuple(group_by), START, END))
        columns = [self.column(name) for name in group_by]
        # Without dimensions all rows are one group.
        grouped = found.values(*columns) if columns else found.annotate(whole=Value(1)).values("whole")
        counted = grouped.annotate(measured=self.value(START, END)).values_list(*columns, "measured")
        most: QuerySet[Any] = counted.order_by(F("measured").desc(nulls_last=True))[:MOST_VALUES]
        return most


@dataclass(frozen=True, slots=True)
class Compiled:
    """A rule's query: its text, in which values are columns of `given`, these values with their types, and those that
    can be no column. Rules of one `shape` can be asked together."""

    sql: str
    values: tuple[tuple[str, Any], ...]
    literals: tuple[Any, ...]

    @property
    def shape(self) -> str:
        return f"{self.sql} {self.literals!r}" if self.literals else self.sql


@lru_cache(maxsize=40_000)
def compiled_query(measure: str, query: str, org_id: str, group_by: tuple[str, ...]) -> Compiled:
    """Raises Invalid."""
    known = measures.get(measure)
    assert isinstance(known, RowsMeasure)
    sql, params = known.question(query, org_id, group_by).query.sql_with_params()
    columns: list[str] = []
    values: list[tuple[str, Any]] = []
    literals: list[Any] = []
    for param in params:
        kind = _TYPES.get(type(param))
        if param in (START, END):
            columns.append("given.starts" if param == START else "given.ends")
        elif kind is None:
            columns.append("%s")
            literals.append(param)
        else:
            columns.append(f"given.v{len(values)}")
            values.append((kind, param))
    return Compiled(_filled(sql, columns), tuple(values), tuple(literals))


def _filled(sql: str, columns: Sequence[str]) -> str:
    first, *rest = sql.split("%s")
    return first + "".join(column + text for column, text in zip(columns, rest, strict=True))


Row = tuple[tuple[tuple[str, Any], ...], Asked]


def ask(compiled: Compiled, rows: Sequence[Row]) -> list[Values | Broken]:
    """An answer for each of the rows of values. Where all together break, each is asked alone: one stops no other."""
    try:
        found: list[Values | Broken] = list(_ask(compiled, rows))
    except TookTooLong:
        return [TOO_LONG] if len(rows) == 1 else _by_halves(compiled, rows)
    except DatabaseError as error:
        log.warning("alerts.query_refused", error=str(error)[:500], rules=len(rows))
        return [REFUSED] if len(rows) == 1 else _by_halves(compiled, rows)
    return found


def _by_halves(compiled: Compiled, rows: Sequence[Row]) -> list[Values | Broken]:
    """Most rules are not to blame."""
    half = len(rows) // 2
    return ask(compiled, rows[:half]) + ask(compiled, rows[half:])


def _ask(compiled: Compiled, rows: Sequence[Row]) -> list[Values]:
    kinds = [kind for kind, _ in rows[0][0]]
    names = ["number", "starts", "ends", *(f"v{index}" for index in range(len(kinds)))]
    types = ["int", "timestamptz", "timestamptz", *kinds]
    columns: list[list[Any]] = [
        list(range(len(rows))),
        [asked.start for _, asked in rows],
        [asked.end for _, asked in rows],
        *([values[index][1] for values, _ in rows] for index in range(len(kinds))),
    ]
    table = ", ".join(f"%s::{kind}[]" for kind in types)
    statement = (
        f"SELECT given.number, found.* FROM unnest({table}) AS given({', '.join(names)}) "
        f"CROSS JOIN LATERAL ({compiled.sql}) found"
    )
    answers: list[Values] = [{} for _ in rows]
    with time_limit(QUERY_SECONDS), connection.cursor() as cursor:
        # For a statement that costs as much as a thousand of its kind, compiling it takes longer than it does.
        cursor.execute("SELECT set_config('jit', 'off', true)")
        cursor.execute(statement, [*columns, *compiled.literals])
        for number, *dimensions, value in cursor.fetchall():
            if value is not None:
                answers[number][_key(dimensions)] = float(value)
    return answers


def _key(dimensions: Iterable[Any]) -> tuple[str, ...]:
    return tuple("" if one is None else str(one) for one in dimensions)


class RowsNow(RowsMeasure):
    """Rows as they are at the check, whatever the window: what they were is not known."""

    has_history, has_window = False, False

    def within(self, start: datetime, end: datetime) -> Q:
        return Q()

    def compiled(self, asked: Asked) -> Compiled:
        """Anew each time: what the rows are may be told by values of this moment."""
        return compiled_query.__wrapped__(self.name, asked.query, asked.org_id, asked.group_by)

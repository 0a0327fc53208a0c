"""A run's log, read a window at a time: any line of a million is as near as the first."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.db import DataError, connection, transaction
from django.db.models import QuerySet

from dagy.records import LEVELS
from dagy_console.core.database import TookTooLong, time_limit
from dagy_console.core.errors import Invalid
from dagy_console.runs.models import LogLine, Run

# What a search in one log may take.
SEARCH_SECONDS = 8
_PIECE = 2_000


@dataclass(frozen=True, slots=True)
class LogQuery:
    """Which lines: of a task (`-` is the run itself), of a level at least, with a text, or what `/…/` matches."""

    task_id: str = ""
    level: str = ""
    q: str = ""

    @property
    def pattern(self) -> str | None:
        """A regular expression, as PostgreSQL knows them; case does not count."""
        return self.q[1:-1] if len(self.q) > 2 and self.q[0] == self.q[-1] == "/" else None

    def lines(self, run: Run) -> QuerySet[LogLine]:
        lines = run.log.order_by("sequence")
        if self.task_id:
            lines = lines.filter(task_id="" if self.task_id == "-" else self.task_id)
        if self.level:
            lines = lines.filter(level__in=LEVELS[LEVELS.index(self.level) :])
        if self.pattern is not None:
            return lines.filter(message__iregex=self.pattern)
        return lines.filter(message__icontains=self.q) if self.q else lines


def asked(task_id: str | None, level: str | None, q: str | None) -> LogQuery:
    """What somebody asks for. Raises Invalid where the pattern between the slashes is none."""
    query = LogQuery(task_id or "", level or "", q or "")
    if query.pattern is not None:
        _check_pattern(query.pattern)
    return query


@dataclass(frozen=True, slots=True)
class Window:
    """Lines, oldest first, and whether there are more before and after them."""

    lines: list[LogLine]
    has_older: bool
    has_newer: bool


def after(run: Run, query: LogQuery, sequence: int, limit: int) -> Window:
    """The first lines after `sequence`; from 0, those of the beginning. Raises Invalid where that takes too long."""
    found = _read(query.lines(run).filter(sequence__gt=sequence)[: limit + 1])
    return Window(found[:limit], has_older=sequence > 0, has_newer=len(found) > limit)


def before(run: Run, query: LogQuery, sequence: int | None, limit: int) -> Window:
    """The last lines before `sequence`; before None, those of the end. Raises Invalid."""
    lines = query.lines(run)
    rows = lines.filter(sequence__lt=sequence) if sequence is not None else lines
    found = _read(rows.order_by("-sequence")[: limit + 1])
    return Window(found[:limit][::-1], has_older=len(found) > limit, has_newer=sequence is not None)


def around(run: Run, query: LogQuery, sequence: int, limit: int) -> Window:
    """The line `sequence` with what stands before and after it. Raises Invalid."""
    above = before(run, query, sequence, limit // 2)
    below = after(run, query, sequence - 1, limit - len(above.lines))
    return Window([*above.lines, *below.lines], above.has_older, below.has_newer)


def whole(run: Run, query: LogQuery) -> Iterator[list[LogLine]]:
    """Every line, in pieces: a log of any size in little memory."""
    last = 0
    while piece := list(query.lines(run).filter(sequence__gt=last)[:_PIECE]):
        yield piece
        last = piece[-1].sequence


def line_of_failure(run: Run) -> int | None:
    """Where the log tells of the first failure."""
    task_id = (run.failure or {}).get("task_id") or ""
    lines = run.log.filter(task_id=task_id, level__in=("ERROR", "CRITICAL")).order_by("-sequence")
    return lines.values_list("sequence", flat=True).first()


def first_error(run: Run) -> int | None:
    lines = run.log.filter(level__in=("ERROR", "CRITICAL")).order_by("sequence")
    return lines.values_list("sequence", flat=True).first()


def _read(rows: QuerySet[LogLine]) -> list[LogLine]:
    try:
        with time_limit(SEARCH_SECONDS):
            return list(rows)
    except TookTooLong:
        message = f"takes longer than {SEARCH_SECONDS} s in this log: name a task or a level, too, or write more of it"
        raise Invalid.field("q", message) from None


def _check_pattern(pattern: str) -> None:
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT '' ~* %s", [pattern])
    except DataError as error:
        said: Any = error.__cause__
        reason = str(said.diag.message_primary) if said is not None else "it can't be read"
        raise Invalid.field(
            "q", f"is no regular expression: {reason.removeprefix('invalid regular expression: ')}"
        ) from None

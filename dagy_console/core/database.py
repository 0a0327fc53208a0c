"""What the console asks of PostgreSQL beside its rows: the time, what is committed, and not to think for too long."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from django.db import DataError, OperationalError, connection, transaction
from psycopg.errors import QueryCanceled
from psycopg.errors import _WaitTimeout as WaitTimeout

# What a page waits for one statement; and for a server that does not even refuse, which libpq waits for for ever.
STATEMENT_SECONDS = 10
ANSWER_SECONDS = 15


class TookTooLong(Exception):
    """A query was cancelled at its time limit."""


def database_time() -> datetime:
    """The database's clock: what it has stamped is compared with this, never with the clock of another machine."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        now: datetime = cursor.fetchone()[0]
        return now


@dataclass(frozen=True, slots=True)
class Horizon:
    """A moment as the database sees it: its clock, and (as text, a `pg_snapshot`) what was committed by then.

    A clock alone cannot say what could be seen: a row may be stamped before the moment and committed after it.
    """

    at: datetime
    snapshot: str


def horizon() -> Horizon:
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp(), pg_current_snapshot()::text")
        return Horizon(*cursor.fetchone())


def is_past(given: Horizon) -> bool:
    """Whether this can be a horizon that the database gave out: nothing in it lies ahead of now."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(
                "SELECT %s <= clock_timestamp() "
                "AND pg_snapshot_xmax(%s::pg_snapshot) <= pg_snapshot_xmax(pg_current_snapshot())",
                [given.at, given.snapshot],
            )
            return bool(cursor.fetchone()[0])
    except DataError:
        return False


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Each query in the block may take this long. Raises TookTooLong."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT set_config('statement_timeout', %s, true)", [str(int(seconds * 1000))])
            yield
    except OperationalError as error:
        if isinstance(error.__cause__, QueryCanceled):
            raise TookTooLong from error
        raise


def only_walking() -> AbstractContextManager[None]:
    """In a transaction: no bitmaps. Building one of a common pair of letters is not stopped by a time limit."""
    return _planned_without("enable_bitmapscan")


def without_walking() -> AbstractContextManager[None]:
    """In a transaction: no index is read in its order; rows are looked up by bitmaps of indexes, and sorted."""
    return _planned_without("enable_indexscan")


@contextmanager
def _planned_without(setting: str) -> Iterator[None]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config(%s, 'off', true)", [setting])
        yield
        cursor.execute("SELECT set_config(%s, 'on', true)", [setting])


def limit_waiting(*, connection: Any, **_: Any) -> None:
    """Receiver of `connection_created`: give up on a statement, and on a server that is frozen or cut off.

    The connection is closed then, and OperationalError raised: what the server makes of the statement is not known.
    """
    own, wait = connection.connection, connection.connection.wait
    own.execute(f"SET statement_timeout = '{STATEMENT_SECONDS}s'")

    def wait_for_a_while(generator: Any, *arguments: Any, **options: Any) -> Any:
        try:
            return wait(generator, *arguments, **{"timeout": ANSWER_SECONDS} | options)
        except WaitTimeout:
            own.pgconn.finish()
            raise psycopg.OperationalError(f"PostgreSQL did not answer for {ANSWER_SECONDS} s.") from None

    own.wait = wait_for_a_while

"""Leases: one worker at a time on a row, and another one takes over when it dies."""

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from django.db import DatabaseError, InterfaceError, OperationalError, connection, models
from django.db.models import Q
from django.db.models.functions import Now

# How long the work of a process that died waits for another.
SECONDS = 10


class Lost(Exception):
    """Another worker holds the row by now: stop without writing anything."""


class Leased(models.Model):
    """A row that one worker holds at a time. The database's clock decides, so workers' clocks need not agree."""

    lease_owner = models.UUIDField(null=True, editable=False)
    lease_until = models.DateTimeField(null=True, editable=False)

    class Meta:
        abstract = True


def free() -> Q:
    """Rows that nobody holds."""
    return Q(lease_until__isnull=True) | Q(lease_until__lt=Now())


def held(mine: models.QuerySet[Any]) -> Any:
    """The row of a queryset that is narrowed by `lease_owner`. Raises Lost."""
    row = mine.first()
    if row is None:
        raise Lost
    return row


def locked(mine: models.QuerySet[Any]) -> Any:
    """The same, locked until the transaction ends (rows that refer to it may still be written). Raises Lost."""
    return held(mine.select_for_update(no_key=True))


def take(rows: models.QuerySet[Any], *, seconds: float) -> uuid.UUID | None:
    """Claim the rows (one row, usually) and return the lease's token, or None where somebody holds them."""
    token = uuid.uuid4()
    taken = rows.filter(free()).update(lease_owner=token, lease_until=Now() + timedelta(seconds=seconds))
    return token if taken else None


def written(write: Callable[[], None]) -> None:
    """Write what came of the work, again and again while the database is away, for about as long as a lease holds.

    What was done outside would be done once more by the next holder.
    """
    for pause in (0.5, 1, 2, 4):
        try:
            return write()
        except (OperationalError, InterfaceError):
            if connection.in_atomic_block:
                raise
            connection.close()
            time.sleep(pause)
    return write()


@contextmanager
def hold(
    rows: models.QuerySet[Any],
    *,
    seconds: float = SECONDS,
    taken: uuid.UUID | None = None,
    tried: Callable[[bool], None] | None = None,
) -> Iterator[uuid.UUID | None]:
    """Hold the rows for as long as the block runs; gives the lease's token, or None where somebody else holds them.

    `taken` is the token of a lease that was written with the row itself.

    A thread renews the lease, so it may be short: when the process dies, another takes over within `seconds`. It tells
    `tried`, three times in that time, whether it could.
    Filter by `lease_owner=token` before writing: a holder that was cut off for too long has lost it.
    """
    token = taken or take(rows, seconds=seconds)
    if token is None:
        yield None
        return
    mine = rows.filter(lease_owner=token)
    done = threading.Event()
    thread = threading.Thread(target=_renew, args=(mine, seconds, done, tried), name="lease", daemon=True)
    thread.start()
    try:
        yield token
    finally:
        done.set()
        thread.join()
        mine.update(lease_owner=None, lease_until=None)


def _renew(
    mine: models.QuerySet[Any], seconds: float, done: threading.Event, tried: Callable[[bool], None] | None
) -> None:
    try:
        while not done.wait(seconds / 3):
            try:
                renewed = mine.update(lease_until=Now() + timedelta(seconds=seconds)) > 0
            except (DatabaseError, InterfaceError):
                # The next try may still be in time; if not, the lease is lost, as it should be.
                connection.close()
                renewed = False
            if tried is not None:
                tried(renewed)
    finally:
        connection.close()

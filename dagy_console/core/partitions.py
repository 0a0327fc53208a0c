"""Monthly partitions: the tables that grow for ever are cut by month, so that old months can be dropped whole.

They are made by a function in the database, as its owner: the application itself may make no table.
"""

from datetime import UTC, datetime

from django.db import connection

# The apps that own such tables register here.
PARTITIONED: set[str] = set()


def first_of_month(when: datetime, *, months: int = 0) -> datetime:
    """The start of the month (UTC) that lies `months` after the one of `when`."""
    count = when.astimezone(UTC).year * 12 + when.astimezone(UTC).month - 1 + months
    return datetime(count // 12, count % 12 + 1, 1, tzinfo=UTC)


def ensure_partitions(table: str, *moments: datetime) -> None:
    """Make the partitions of `table` that hold `moments`, where they are missing. Safe when two processes race.

    The database is asked each time: a partition may have been dropped behind this process.
    """
    months = sorted(set(map(first_of_month, moments)))
    with connection.cursor() as cursor:
        cursor.execute("SELECT make_partition(%s, month) FROM unnest(%s::timestamptz[]) AS month", [table, months])


def existing_partitions(table: str) -> set[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = %s::regclass", [table])
        return {name.strip('"') for (name,) in cursor.fetchall()}

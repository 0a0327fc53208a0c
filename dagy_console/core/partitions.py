"""Monthly partitions: the tables that grow for ever are cut by month, so that old months can be dropped whole."""

from datetime import UTC, datetime

from django.db import connection, transaction

# Table -> SQL to run on each new partition ("{partition}" is its name); the apps that own such tables register here.
PARTITIONED: dict[str, str] = {}
# Partitions that are there for certain, so that a write need not ask the catalogue.
_seen: set[str] = set()
# Made by a transaction of this process that has not committed yet, or was rolled back.
_uncertain: set[str] = set()


def first_of_month(when: datetime, *, months: int = 0) -> datetime:
    """The start of the month (UTC) that lies `months` after the one of `when`."""
    count = when.astimezone(UTC).year * 12 + when.astimezone(UTC).month - 1 + months
    return datetime(count // 12, count % 12 + 1, 1, tzinfo=UTC)


def ensure_partitions(table: str, *moments: datetime) -> None:
    """Make the partitions of `table` that hold `moments`, where they are missing. Safe when two processes race."""
    months = {_name(table, month): month for month in map(first_of_month, moments)}
    if months.keys() <= _seen:
        return
    existing = existing_partitions(table)
    _seen.update(existing - _uncertain)
    for name in sorted(months.keys() - existing):
        _create(table, name, months[name])


def forget_partitions(table: str) -> None:
    """Look again: a partition was dropped behind this process, by a restore or by hand."""
    _seen.difference_update({name for name in _seen if name.startswith(f"{table}_")})


def _create(table: str, name: str, month: datetime) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [f"partitions of {table}"])
        if name in existing_partitions(table):
            return
        end = first_of_month(month, months=1)
        # Attached, not created in place: that would lock every reader of the table out for the moment.
        cursor.execute(
            f'CREATE TABLE "{name}" (LIKE "{table}" INCLUDING DEFAULTS INCLUDING GENERATED INCLUDING CONSTRAINTS); '
            f'ALTER TABLE "{table}" ATTACH PARTITION "{name}" '
            f"FOR VALUES FROM ('{month.isoformat()}') TO ('{end.isoformat()}'); "
            + PARTITIONED[table].format(partition=name)
        )
        _uncertain.add(name)
        transaction.on_commit(lambda: _uncertain.discard(name))


def existing_partitions(table: str) -> set[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = %s::regclass", [table])
        return {name.strip('"') for (name,) in cursor.fetchall()}


def _name(table: str, month: datetime) -> str:
    return f"{table}_{month:%Y_%m}"

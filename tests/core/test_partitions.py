"""New months come while others read and write."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime

import psycopg
import pytest
from django.db import connection

from dagy_console.core.partitions import ensure_partitions, existing_partitions

LONG_AGO = datetime(1990, 1, 15, tzinfo=UTC)
PATIENCE = "SET lock_timeout = '2s'"


@pytest.fixture
def reader(db: None) -> Iterator[psycopg.Connection]:
    settings = connection.settings_dict
    url = psycopg.conninfo.make_conninfo(os.environ["DATABASE_URL"], dbname=settings["NAME"])
    with psycopg.connect(url) as other:
        other.execute(PATIENCE)
        yield other
        other.rollback()


def answer(query: str) -> object:
    with connection.cursor() as cursor:
        cursor.execute(query)
        return cursor.fetchone()[0]


def test_a_new_month_neither_waits_for_readers_nor_stops_them(reader: psycopg.Connection) -> None:
    reader.execute("SELECT count(*) FROM trace")
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL lock_timeout = '2s'")
    ensure_partitions("trace", LONG_AGO)
    reader.execute("SELECT count(*) FROM trace")


def test_a_partition_that_was_dropped_behind_the_process_is_made_again(db: None) -> None:
    url = psycopg.conninfo.make_conninfo(
        os.environ.get("DATABASE_OWNER_URL") or os.environ["DATABASE_URL"], dbname=connection.settings_dict["NAME"]
    )
    with psycopg.connect(url, autocommit=True) as owner:
        owner.execute(PATIENCE)
        owner.execute("SELECT make_partition('audit_entry', %s)", [LONG_AGO])
        ensure_partitions("audit_entry", LONG_AGO)
        owner.execute("DROP TABLE audit_entry_1990_01")
    ensure_partitions("audit_entry", LONG_AGO)
    assert "audit_entry_1990_01" in existing_partitions("audit_entry")


@pytest.mark.parametrize("table", ["trace", "audit_entry"])
def test_a_partition_has_what_its_table_has(db: None, table: str) -> None:
    ensure_partitions(table, LONG_AGO)
    columns = (
        "SELECT array_agg((attname, atttypid, attcollation, attnotnull, attgenerated, atthasdef)::text ORDER BY attnum)"
        " FROM pg_attribute WHERE attnum > 0 AND attrelid = '{}'::regclass"
    )
    indexes = "SELECT count(*) FROM pg_index WHERE indisvalid AND indrelid = '{}'::regclass"
    # Those of each row; whoever writes, writes through the table: it alone tells of statements.
    triggers = "SELECT count(*) FROM pg_trigger WHERE tgrelid = '{}'::regclass AND tgtype & 1 = 1"
    for query in (columns, indexes, triggers):
        assert answer(query.format(f"{table}_1990_01")) == answer(query.format(table))

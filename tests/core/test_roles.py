"""What the application's role may not do: the audit log is out of reach of who has the console's own password."""

import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from django.conf import settings
from django.db import DatabaseError, connection, transaction
from django.utils import timezone
from psycopg import sql

from dagy_console.audit.actions import Action
from dagy_console.audit.models import AuditEntry
from dagy_console.audit.recorder import record
from dagy_console.core.actors import SYSTEM
from dagy_console.core.checks import check_roles

ROOT = Path(__file__).resolve().parents[2]
OWNER_URL = os.environ.get("DATABASE_OWNER_URL", "")
pytestmark = pytest.mark.skipif(not OWNER_URL, reason="the environment gives one role for everything")


def note() -> None:
    with transaction.atomic():
        record(Action.USER_CREATED, actor=SYSTEM, resource_type="user")


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE audit_entry DISABLE TRIGGER audit_entry_no_change",
        "ALTER TABLE {partition} DISABLE TRIGGER ALL",
        "SET session_replication_role = replica",
        "DROP TRIGGER audit_entry_no_change ON audit_entry",
        "CREATE OR REPLACE FUNCTION audit_entry_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN END $$",
        "CREATE OR REPLACE FUNCTION make_partition(parent text, moment timestamptz) RETURNS void LANGUAGE sql AS ''",
        "ALTER TABLE audit_entry DETACH PARTITION {partition}",
        "DELETE FROM {partition}",
        "UPDATE {partition} SET reason = 'x'",
        "TRUNCATE {partition}",
        "DROP TABLE {partition}",
        "DELETE FROM audit_entry",
        "UPDATE audit_entry SET actor_email = 'nobody'",
        "TRUNCATE audit_entry",
        "DROP TABLE audit_entry",
        "INSERT INTO {partition} (id, at) SELECT id, at FROM audit_entry",
        "CREATE TABLE mine (x int)",
        "ALTER TABLE accounts_user ADD COLUMN x int",
        "SET ROLE dagy",
        "CREATE ROLE mine",
    ],
)
def test_the_application_may_not_touch_what_is_written(db: None, statement: str) -> None:
    note()
    partition = f"audit_entry_{timezone.now():%Y_%m}"
    refused = "permission denied|must be owner|no privileges|permission to"
    with pytest.raises(DatabaseError, match=refused), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement.format(partition=partition))
    assert AuditEntry.objects.get().reason == ""


@pytest.mark.parametrize("shift", [timedelta(minutes=-6), timedelta(minutes=6)])
def test_an_entry_of_another_time_is_refused(db: None, shift: timedelta) -> None:
    note()
    entry = AuditEntry.objects.get()
    entry.id, entry.at = uuid.uuid4(), timezone.now() + shift
    with pytest.raises(DatabaseError, match="written as things happen"), transaction.atomic():
        entry.save(force_insert=True)


def test_the_application_gets_partitions_of_partitioned_tables_alone(db: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT make_partition('audit_entry', now() + interval '3 years')")
        for name in ("accounts_user", 'x"; DROP TABLE trace; --'):
            with pytest.raises(DatabaseError, match="is no partitioned table"), transaction.atomic():
                cursor.execute("SELECT make_partition(%s, now())", [name])


def test_the_console_s_own_role_raises_no_warning(db: None) -> None:
    assert check_roles(None) == []


@pytest.fixture
def plain_owner() -> Iterator[str]:
    """The URL of an empty database whose owner is no superuser, as providers give it."""
    name = f"plain_{uuid.uuid4().hex[:12]}"
    quoted = sql.Identifier(name)
    with psycopg.connect(OWNER_URL, autocommit=True) as server:
        server.execute(sql.SQL("CREATE ROLE {} LOGIN CREATEROLE PASSWORD 'plain'").format(quoted))
        server.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(quoted, quoted))
        info = server.info
        try:
            yield f"postgresql://{name}:plain@{info.host}:{info.port}/{name}"
        finally:
            server.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(quoted))
            for role in (f"{name}_app", name):
                server.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(role)))


def manage(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    given = {name: value for name, value in os.environ.items() if not name.startswith("DATABASE_")} | environment
    command = [sys.executable, "manage.py", *arguments]
    return subprocess.run(command, cwd=ROOT, env=given, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.slow("all migrations from nothing, by an owner that is no superuser")
def test_one_role_for_everything_works_and_is_warned_of_until_the_application_has_its_own(plain_owner: str) -> None:
    """An ordinary owner migrates, makes the application's role and opens the tables to it."""
    done = manage("migrate", "--noinput", DATABASE_URL=plain_owner)
    assert done.returncode == 0, done.stderr
    checked = manage("check", DATABASE_URL=plain_owner)
    assert checked.returncode == 0
    assert "dagy.W002" in checked.stderr
    assert "its triggers alone protect" in checked.stderr

    name = plain_owner.rpartition("/")[2]
    application = plain_owner.replace(f"//{name}:plain@", f"//{name}_app:secret@")
    done = manage("migrate", "--noinput", DATABASE_URL=application, DATABASE_OWNER_URL=plain_owner)

    assert done.returncode == 0, done.stderr
    assert "W002" not in done.stderr
    with psycopg.connect(application) as mine:
        mine.execute("SELECT make_partition(name, now()) FROM unnest(ARRAY['audit_entry', 'trace']) AS name")
        mine.execute("INSERT INTO django_content_type (app_label, model) VALUES ('x', 'y')")
        assert mine.execute("SELECT count(*) FROM audit_entry").fetchone() == (0,)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            mine.execute("DELETE FROM audit_entry")
    with psycopg.connect(plain_owner) as owner:
        rights = "SELECT has_table_privilege('dagy_reader', %s, 'SELECT')"
        assert owner.execute(rights, ["audit_entry"]).fetchone() == (True,)
        assert owner.execute(rights, ["django_session"]).fetchone() == (False,)
        assert owner.execute(rights, ["core_outgoingmail"]).fetchone() == (False,)


def test_the_owner_s_address_is_that_of_another_role() -> None:
    assert settings.DATABASE_ROLES["owner"]["USER"] != settings.DATABASE_ROLES["application"]["USER"]

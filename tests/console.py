"""The four people of all tests, their clients, and buckets on the real S3 server."""

import json
import os
import socket
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from celery import Celery, current_app
from django.contrib.auth.hashers import make_password
from django.db import connection, transaction
from django.test import Client, override_settings
from django.test.utils import setup_databases, teardown_databases

from dagy import capture
from dagy_console import settings as settings_module
from dagy_console.accounts.credentials import actor_for
from dagy_console.accounts.models import Membership, Organization, User
from dagy_console.accounts.services.tokens import create_access_token
from dagy_console.alerts.models import Rule
from dagy_console.core import roles, storage
from dagy_console.core.actors import Actor, Origin
from dagy_console.core.errors import ConsoleError
from dagy_console.core.health import redis_client
from dagy_console.core.permissions import Role
from dagy_console.core.tasks import make_partitions
from dagy_console.exceptions.index import reconciling
from dagy_console.exceptions.models import GroupOrganization, Trace, TraceGroup
from dagy_console.listing import finding, summary
from dagy_console.listing.models import DayCount, HourCount, RolledUpDay
from embedded.profile import ROOT
from embedded.test import is_standalone
from tests import preparation

_PREPARATION = pytest.StashKey[subprocess.Popen[bytes]]()


def pytest_configure(config: pytest.Config) -> None:
    """Set what tests need otherwise, and prepare what all test processes share while the tests are collected.

    Pages are rendered from the sources' static files (the browser's stack collects and hashes them); only the tests
    of capturing capture.
    """
    from django.conf import settings

    capture.configure(enabled=False)
    settings.PASSWORD_HASHERS = ["tests.hashers.QuickArgon2Hasher"]
    settings.STORAGES["staticfiles"]["BACKEND"] = "django.contrib.staticfiles.storage.StaticFilesStorage"
    Path(settings.STATIC_ROOT).mkdir(parents=True, exist_ok=True)
    if not hasattr(config, "workerinput"):
        # Whoever needs it does it anew where this one fails, and says why.
        command = [sys.executable, "-m", "tests.preparation"]
        config.stash[_PREPARATION] = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)


def pytest_unconfigure(config: pytest.Config) -> None:
    """A server that the environment gave is somebody's: no template is left on it."""
    if hasattr(config, "workerinput"):
        return
    config.stash[_PREPARATION].kill()
    config.stash[_PREPARATION].wait()
    if "postgres" not in os.environ.get("DAGY_EMBEDDED_SERVERS", "").split(","):
        preparation.drop_database(preparation.template_name())


PASSWORD = "correct horse battery staple"


@cache
def _hashed(password: str) -> str:
    return make_password(password)


def create_person(email: str, *, org: str = "", role: Role = Role.VIEWER, super_admin: bool = False) -> User:
    user = User.objects.create(
        email=email, name=email.split("@")[0], password=_hashed(PASSWORD), super_admin=super_admin
    )
    if org:
        organization, _ = Organization.objects.get_or_create(id=org, defaults={"name": org})
        Membership.objects.create(user=user, organization=organization, role=role)
    return user


@pytest.fixture(scope="session")
def django_db_setup(
    django_test_environment: None, django_db_modify_db_settings: None, django_db_blocker: Any
) -> Iterator[None]:
    """The owner makes the test database from a migrated one, and removes it; the application tests in it.

    Partitions are made once, and not anew in every test's transaction. The rule that each installation has is in the
    way of those that tests make.
    """
    connection.settings_dict["TEST"]["TEMPLATE"] = preparation.template_database()
    with django_db_blocker.unblock(), roles.connected_as("owner"):
        made = setup_databases(verbosity=0, interactive=False)
    with roles.connected_as("application"):
        with django_db_blocker.unblock():
            make_partitions()
            Rule.objects.all().delete()
        yield
    with django_db_blocker.unblock(), roles.connected_as("owner"):
        teardown_databases(made, verbosity=0)


@pytest.fixture(autouse=True)
def time_to_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """A limit that is set within a test's transaction holds to its end, and the machine may be busy otherwise."""
    monkeypatch.setattr(summary, "SECONDS", 5)
    monkeypatch.setattr(finding, "WALK_SECONDS", 5)


@pytest.fixture
def real_hashers(settings: Any) -> None:
    """Passwords take as long as in production."""
    settings.PASSWORD_HASHERS = settings_module.PASSWORD_HASHERS


@pytest.fixture
def committed(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """What the test does is committed, as it is for many processes at once; its owner takes it away again."""
    with django_db_blocker.unblock():
        yield
        with roles.connected_as("owner"), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
            (_delete_all if cursor.fetchone()[0] else _truncate_all)(cursor)
        connection.close()


def _delete_all(cursor: Any) -> None:
    """By a superuser, whom neither the record's triggers nor references keep from it: a few rows take a moment."""
    cursor.execute("SET LOCAL session_replication_role = replica")
    for table in ["audit_entry", *_tables_of_people()]:
        cursor.execute(f"DELETE FROM {table}")


def _truncate_all(cursor: Any) -> None:
    """By an ordinary owner: dropping a partition is the one door of the record."""
    cursor.execute("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'audit_entry'::regclass")
    for (partition,) in cursor.fetchall():
        cursor.execute(f"DROP TABLE {partition}")
    cursor.execute("TRUNCATE accounts_organization, accounts_user, core_outgoingmail, django_session CASCADE")
    cursor.execute("TRUNCATE core_destination")
    make_partitions()
    roles.grant()


@cache
def _tables_of_people() -> list[str]:
    """Whatever refers to organizations, people, mails and sessions, by any way."""
    with connection.cursor() as cursor:
        cursor.execute(
            "WITH RECURSIVE found(t) AS (SELECT unnest(ARRAY['accounts_organization', 'accounts_user', "
            "'core_outgoingmail', 'core_destination', 'django_session'])::regclass::oid "
            "UNION SELECT conrelid FROM pg_constraint JOIN found ON confrelid = t WHERE contype = 'f') "
            "SELECT t::regclass::text FROM found"
        )
        return [table for (table,) in cursor.fetchall()]


@pytest.fixture
def no_broker() -> Iterator[None]:
    """Tasks are sent to a port at which nobody listens."""
    usual = current_app._get_current_object()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    Celery(broker=f"redis://127.0.0.1:{port}/0", set_as_current=False).set_current()
    yield
    usual.set_current()


@pytest.fixture
def empty_index(committed: None) -> Iterator[None]:
    """Traces that the test commits, and what is counted of them, are gone after it."""
    yield
    Trace.objects.all().delete()
    for counts in (RolledUpDay, DayCount, HourCount, TraceGroup, GroupOrganization):
        counts.objects.all().delete()


def at_the_same_moment(*calls: Callable[[], Any]) -> list[Any]:
    """Each call in a thread with a database connection of its own, let go together; what it answered or raised."""
    barrier = threading.Barrier(len(calls))

    def go(call: Callable[[], Any]) -> Any:
        barrier.wait()
        try:
            return call()
        except ConsoleError as error:
            return error
        finally:
            connection.close()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(go, calls, timeout=30))


@pytest.fixture
def alice(db: None) -> User:
    """The super admin."""
    return create_person("alice@dagy.example", super_admin=True)


@pytest.fixture
def bob(db: None) -> User:
    """The owner of org_blue."""
    return create_person("bob@blue.example", org="org_blue", role=Role.OWNER)


@pytest.fixture
def vera(db: None) -> User:
    """A viewer in org_blue."""
    return create_person("vera@blue.example", org="org_blue", role=Role.VIEWER)


@pytest.fixture
def charlie(db: None) -> User:
    """A developer in org_red."""
    return create_person("charlie@red.example", org="org_red", role=Role.DEVELOPER)


def actor_of(user: User) -> Actor:
    """`user` as the actor of a service."""
    return actor_for(user, Origin(ip="203.0.113.7", request_id="test-request"))


def browser_of(user: User) -> Client:
    """A signed-in browser without JavaScript."""
    client = Client()
    client.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
    return client


def api_client(user: User) -> Client:
    """An API client with an access token."""
    token, _ = create_access_token(actor=actor_of(user), user=user)
    return Client(headers={"Authorization": f"Bearer {token}"})


@pytest.fixture
def as_actor() -> Callable[[User], Actor]:
    return actor_of


@pytest.fixture
def browse() -> Callable[[User], Client]:
    return browser_of


@pytest.fixture
def api() -> Callable[[User], Client]:
    return api_client


@pytest.fixture(autouse=True)
def _empty_cache(request: pytest.FixtureRequest) -> None:
    if not is_standalone(request.path):
        forget_own_keys()


def forget_own_keys() -> None:
    """Only our own: the server may be somebody's."""
    client = redis_client()
    for key in client.scan_iter("dagy:*", count=1_000):
        client.delete(key)


@dataclass(frozen=True)
class Bucket:
    """A bucket of this test alone, and what a foreign writer can do in it."""

    name: str

    def put(self, org: str = "org_blue", *, at: datetime | None = None, request_id: str = "", **fields: Any) -> str:
        """Write a trace as any other program would; answers its key."""
        when = at or datetime.now(UTC)
        request_id = request_id or f"req-{uuid.uuid4().hex[:12]}"
        body = {
            "timestamp": when.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "request_id": request_id,
            "function_name": "dagy-api-test",
            "exception_type": "ValueError",
            "exception_message": "Invalid flow spec",
            "traceback": "Traceback (most recent call last):\n"
            '  File "/srv/app/dagy/runs.py", line 7, in start\n    boom()\nValueError: Invalid flow spec\n',
            "http_method": "POST",
            "http_path": "/runs",
            "org_id": org,
            "event": {"headers": {"user-agent": "test"}},
        } | fields
        key = capture.s3_key(org_id=org, timestamp=when, request_id=request_id)
        names = ("exception_type", "http_method", "http_path", "request_id", "timestamp", "org_id")
        metadata = capture.encode_metadata({name.replace("_", "-"): body[name] for name in names})
        self.put_bytes(key, json.dumps(body).encode(), metadata)
        return key

    def put_bytes(self, key: str, body: bytes, metadata: dict[str, str] | None = None) -> None:
        storage.client().put_object(
            Bucket=self.name, Key=key, Body=body, Metadata=metadata or {}, ContentType="application/json"
        )

    def delete(self, key: str) -> None:
        storage.client().delete_object(Bucket=self.name, Key=key)

    def keys(self) -> list[str]:
        pages = storage.client().get_paginator("list_objects_v2").paginate(Bucket=self.name)
        return [item["Key"] for page in pages for item in page.get("Contents", [])]


@contextmanager
def new_bucket() -> Iterator[Bucket]:
    """The bucket of traces, in the block."""
    name = f"test-{uuid.uuid4().hex[:20]}"
    client = storage.client()
    client.create_bucket(Bucket=name)
    with override_settings(TRACES_BUCKET=name):
        yield Bucket(name)
    # The embedded server is thrown away with all that is in it; one that the environment gave is somebody's.
    if "s3" not in os.environ.get("DAGY_EMBEDDED_SERVERS", "").split(","):
        remove_bucket(name, client)


@pytest.fixture
def bucket() -> Iterator[Bucket]:
    with new_bucket() as bucket:
        yield bucket


def remove_bucket(name: str, client: Any) -> None:
    """`client` is of before the test, which may have pointed the console's at a server that is down."""
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=name):
        for item in page.get("Contents", []):
            client.delete_object(Bucket=name, Key=item["Key"])
    client.delete_bucket(Bucket=name)


def rebuild_index() -> None:
    reconciling.rebuild(restart=True, report=lambda found, upto: None)


@pytest.fixture
def indexed(bucket: Bucket, db: None) -> Callable[[], None]:
    """Bring the index up to date with the bucket."""
    return rebuild_index

"""The real product for the browser tests: web, worker and beat, on a database and buckets of their own."""

import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
import redis

from dagy_console.core import storage
from embedded.console import Console
from embedded.ports import kept_ports
from embedded.profile import ROOT, Profile
from tests.console import PASSWORD, Bucket
from tests.preparation import create_migrated_database, drop_database, static_files

PEOPLE = {"alice": "alice@dagy.example", "bob": "bob@blue.example", "vera": "vera@blue.example"}
_PREPARE = f"""
from dagy_console.accounts.services.people import add_member, create_organization, create_user
from dagy_console.core.actors import SYSTEM
from dagy_console.core.permissions import Role

blue = create_organization(actor=SYSTEM, org_id="org_blue", name="Blue Analytics")
for name, email in {PEOPLE!r}.items():
    user = create_user(actor=SYSTEM, email=email, name=name, password={PASSWORD!r}, super_admin=name == "alice")
    if name != "alice":
        add_member(actor=SYSTEM, user=user, organization=blue, role=Role.OWNER if name == "bob" else Role.VIEWER)
"""
# Counted down from the range's last, while tests/environment.py counts the test processes' own up from its second.
_LAST_REDIS_DATABASE = 15


@dataclass
class Stack:
    """A running console, and the doors that a test needs behind its back."""

    url: str
    bucket: Bucket
    database_url: str
    console: Console
    logs: Path

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """What the console's own database answers."""
        with psycopg.connect(self.database_url) as connection:
            return connection.execute(query.encode(), values).fetchall()

    def execute(self, statement: str, *values: Any) -> None:
        """Change rows behind the console's back."""
        with psycopg.connect(self.database_url) as connection:
            connection.execute(statement.encode(), values)

    def wait_until_indexed(self, org: str, count: int, *, seconds: float = 30) -> None:
        """Wait until the index holds `count` traces whose keys are those of `org`."""
        query = "SELECT count(*) FROM trace WHERE key LIKE %s"
        wait_until(
            lambda: self.rows(query, f"exceptions/{org}/%")[0][0] == count,
            seconds=seconds,
            what=f"{count} traces of {org} in the index",
        )

    def put_many(self, puts: list[dict[str, Any]], *, threads: int = 16) -> list[str]:
        """Write traces as another program would, several at the same time; their keys."""
        with ThreadPoolExecutor(threads) as pool:
            return list(pool.map(lambda fields: self.bucket.put(**fields), puts))

    def keys_of(self, org: str) -> list[str]:
        """What lies in S3 now, oldest first."""
        pages = (
            storage.client()
            .get_paginator("list_objects_v2")
            .paginate(Bucket=self.bucket.name, Prefix=f"exceptions/{org}/")
        )
        return [item["Key"] for page in pages for item in page.get("Contents", [])]

    def kill(self, name: str) -> None:
        """One of the console's processes, as the kernel does it where memory runs out."""
        process = self.console.children[name].process
        process.kill()
        process.wait(timeout=10)

    def restart_worker(self) -> None:
        """As whoever runs the product does it."""
        dead = self.console.children["jobs"]

        def is_back() -> bool:
            self.console.watch(lambda said: None)
            return self.console.children["jobs"] is not dead

        wait_until(is_back, seconds=10, what="a new worker")

    def tail(self) -> str:
        """The last lines of every log."""
        logs = {path.name: path.read_text(errors="replace").splitlines()[-30:] for path in self.logs.glob("*.log")}
        return "\n".join(f"--- {name}\n" + "\n".join(lines) for name, lines in sorted(logs.items()))


def wait_until(done: Callable[[], bool], *, seconds: float, what: str, every: float = 0.2) -> float:
    """How many seconds it took until `done()`; fails the test where it takes too long."""
    began = time.monotonic()
    while not done():
        if time.monotonic() - began > seconds:
            raise AssertionError(f"not within {seconds:g} s: {what}")
        time.sleep(every)
    return time.monotonic() - began


@contextmanager
def running_stack(
    directory: Path, seed: Callable[[Bucket], None], variables: Mapping[str, str] | None = None
) -> Iterator[Stack]:
    """Start everything, with the traces that `seed` writes; stop it and take it away again at the end.

    `variables` are set over those of this process: the addresses of servers, and settings.
    """
    profile = Profile("stack", directory)
    profile.logs.mkdir(parents=True)
    name = f"stack_{uuid.uuid4().hex[:12]}"
    port = kept_ports(profile.directory / "ports.json", {"web": "the console"})["web"]
    given = {**os.environ, **(variables or {})}
    environment = _environment(profile, given, name=name, port=port)
    bucket = Bucket(environment["DAGY_TRACES_BUCKET"])
    console = Console(profile, environment, {"web": port}, longest_pause_seconds=1)
    try:
        create_migrated_database(name, given)
        redis.Redis.from_url(environment["REDIS_URL"]).flushdb()
        with _prepared(profile, environment):
            for variable in ("DAGY_TRACES_BUCKET", "DAGY_ARTIFACTS_BUCKET"):
                storage.client().create_bucket(Bucket=environment[variable])
            seed(bucket)
        console.launch()
        console.wait_until_live(lambda: None)
        yield Stack(f"http://127.0.0.1:{port}", bucket, environment["DATABASE_URL"], console, profile.logs)
    finally:
        console.stop(seconds=lambda: 3)
        redis.Redis.from_url(environment["REDIS_URL"]).flushdb()
        drop_database(name, given)


def _environment(profile: Profile, given: Mapping[str, str], *, name: str, port: int) -> dict[str, str]:
    kept = {key: value for key, value in given.items() if not key.startswith(("PYTEST_", "DAGY_DEBUG"))}
    cache = urlsplit(given["REDIS_URL"])
    base = int(cache.path.strip("/") or 0) // 16 * 16
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    return kept | {
        "DATABASE_URL": urlunsplit(urlsplit(given["DATABASE_URL"])._replace(path=f"/{name}")),
        "REDIS_URL": urlunsplit(cache._replace(path=f"/{base + _LAST_REDIS_DATABASE - worker}")),
        "DAGY_TRACES_BUCKET": f"{name.replace('_', '-')}-traces",
        "DAGY_ARTIFACTS_BUCKET": f"{name.replace('_', '-')}-artifacts",
        "DAGY_BASE_URL": f"http://127.0.0.1:{port}",
        "DAGY_STATIC_ROOT": str(static_files()),
        "DAGY_SPOOL_DIR": str(profile.directory / "spool"),
        "DAGY_DEMO": "1",
        "DAGY_RECONCILE_SECONDS": "3",
        # A bulk deletion of some hundred traces takes several rounds.
        "DAGY_DELETION_BATCH": "20",
        # People sign in once for all tests; the test of sudo makes its own session old.
        "DAGY_SUDO_SECONDS": "7200",
        "DAGY_LOG_LEVEL": "INFO",
        "DAGY_LOG_FORMAT": "console",
        "DJANGO_SETTINGS_MODULE": "dagy_console.settings",
        "PYTHONUNBUFFERED": "1",
    }


@contextmanager
def _prepared(profile: Profile, environment: dict[str, str]) -> Iterator[None]:
    """The people are made while the body runs."""
    log = profile.logs / "prepare.log"
    command = [sys.executable, "-c", f"import django; django.setup()\n{_PREPARE}"]
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=environment, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT)
        try:
            yield
            code = process.wait(timeout=90)
        finally:
            process.kill()
    assert code == 0, log.read_text()


def body_of(stack: Stack, key: str) -> bytes:
    """The object as S3 holds it."""
    body: bytes = storage.client().get_object(Bucket=stack.bucket.name, Key=key)["Body"].read()
    return body


def trace_json(**fields: Any) -> bytes:
    """A body with the contract's fields, `fields` over them."""
    usual = {
        "timestamp": "2026-01-15T10:30:00.123456Z",
        "request_id": "abc-123",
        "function_name": "dagy-api-test",
        "exception_type": "ValueError",
        "exception_message": "Invalid flow spec",
        "traceback": "",
        "http_method": "POST",
        "http_path": "/runs",
        "org_id": "org_123",
        "event": {},
    }
    return json.dumps(usual | fields).encode()

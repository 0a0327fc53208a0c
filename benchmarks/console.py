"""The console inside a benchmark: its own database, its own bucket, one signed-in super admin.

Import this before anything of `dagy_console`; `open_console` sets Django up.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
import tracegen
from psycopg import sql

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
CHUNK = 5_000
COLUMNS = (
    "timestamp",
    "key",
    "org_id",
    "exception_type",
    "message",
    "http_method",
    "http_path",
    "request_id",
    "function_name",
    "fingerprint",
    "problems",
    "size",
    "etag",
    "last_modified",
    "indexed_at",
)
_VARIABLE = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}|\d+")


@contextmanager
def open_console(*, keep: bool = False, limited: bool = False) -> Iterator[str]:
    """Django on an empty, migrated database and an empty bucket, both new; gone afterwards unless `keep`.

    The API's rate limit is off unless `limited`.
    """
    if not limited:
        os.environ["DAGY_RATE_LIMIT_PER_MINUTE"] = "0"
    # A run that is told to stop removes what it made, as one that ends does.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    server = os.environ.get("DATABASE_OWNER_URL") or os.environ["DATABASE_URL"]
    name = f"bench_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    try:
        with tempfile.TemporaryDirectory() as static:
            _set_up(urlunsplit(urlsplit(server)._replace(path=f"/{name}")), name.replace("_", "-"), static)
            yield name
            _close(keep)
    finally:
        if not keep:
            with psycopg.connect(server, autocommit=True) as connection:
                connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def _set_up(database_url: str, bucket: str, static: str) -> None:
    os.environ |= {
        "DATABASE_URL": database_url,
        "DAGY_TRACES_BUCKET": bucket,
        "DAGY_STATIC_ROOT": static,
        "DAGY_DEBUG": "0",
        "DAGY_REQUIRE_MFA": "0",
        "DAGY_LOG_LEVEL": "WARNING",
        "DJANGO_SETTINGS_MODULE": "dagy_console.settings",
    }
    import django

    django.setup()
    from django.conf import settings
    from django.core.management import call_command

    from dagy_console.core import storage
    from dagy_console.core.tasks import make_partitions

    settings.ALLOWED_HOSTS = [*settings.ALLOWED_HOSTS, "testserver"]
    call_command("collectstatic", interactive=False, verbosity=0)
    call_command("migrate", interactive=False, verbosity=0)
    make_partitions()
    storage.client().create_bucket(Bucket=bucket)


def _close(keep: bool) -> None:
    from django.db import connection

    from dagy_console.core import storage
    from dagy_console.exceptions.bucket import traces_bucket

    connection.close()
    if keep:
        return
    bucket, client = traces_bucket(), storage.client()
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        for item in page.get("Contents", []):
            client.delete_object(Bucket=bucket, Key=item["Key"])
    client.delete_bucket(Bucket=bucket)


def signed_in_super_admin() -> Any:
    """A browser, signed in, that sends what a browser sends."""
    from django.test import Client

    from dagy_console.accounts.models import User

    user = User.objects.create(email="bench@dagy.example", name="bench", super_admin=True)
    client = Client(headers={"accept-encoding": "gzip"})
    client.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
    return client


def fill_index(count: int, *, ago: timedelta = timedelta()) -> None:
    """`count` rows of tracegen, moved in time so that the newest is of now, or so long ago; then VACUUM ANALYZE."""
    from django.db import connection

    from dagy_console.core.partitions import ensure_partitions

    shift = datetime.now(UTC) - ago - tracegen.T0 - timedelta(seconds=tracegen.SPAN_S)
    span = [tracegen.T0 + shift + timedelta(days=day) for day in range(0, tracegen.SPAN_S // 86_400 + 1)]
    ensure_partitions("trace", *span)
    starts = range(0, count, CHUNK)
    # Processes of their own, spawned: a fork would share this one's connection.
    with ProcessPoolExecutor(2, mp_context=_spawn()) as pool, connection.cursor() as cursor:
        jobs = ((start, min(start + CHUNK, count), shift) for start in starts)
        while batch := list(islice(jobs, 8)):
            for rows in pool.map(_rows, batch):
                with cursor.copy(f"COPY trace ({', '.join(COLUMNS)}) FROM STDIN") as copy:
                    copy.write(rows)
        cursor.execute("VACUUM ANALYZE trace, trace_group, trace_group_organization")
    count_days()


def count_days() -> None:
    """As beat has it done every 30 s."""
    from django.db import connection

    from dagy_console.listing.rollups import roll_up

    began, days = time.monotonic(), 0
    while counted := roll_up():
        days += counted
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE listing_daycount, listing_hourcount, listing_rolledupday")
    print(f"{days} days counted in {time.monotonic() - began:.1f} s", flush=True)


def _spawn() -> Any:
    from multiprocessing import get_context

    return get_context("spawn")


def _rows(job: tuple[int, int, timedelta]) -> str:
    start, end, shift = job
    return "".join(_row(number, shift) for number in range(start, end))


def _row(number: int, shift: timedelta) -> str:
    """One line of COPY's text format. tracegen's texts hold no tab, backslash or line break."""
    trace = moved(tracegen.trace(number), shift)
    group = f"{trace['exception_type']} {_VARIABLE.sub('#', trace['exception_message'])}"
    when = trace["timestamp"]
    return (
        "\t".join(
            (
                when,
                tracegen.s3_key(trace),
                trace["org_id"],
                trace["exception_type"],
                trace["exception_message"],
                trace["http_method"],
                trace["http_path"],
                trace["request_id"],
                trace["function_name"],
                hashlib.sha256(group.encode()).hexdigest()[:12],
                "[]",
                str(20_000 + number % 4_000),
                hashlib.md5(str(number).encode()).hexdigest(),
                when,
                when,
            )
        )
        + "\n"
    )


def moved(trace: dict[str, Any], shift: timedelta) -> dict[str, Any]:
    when = datetime.fromisoformat(trace["timestamp"]) + shift
    return trace | {"timestamp": when.strftime("%Y-%m-%dT%H:%M:%S.%fZ")}


def percentile(values: list[float], at: int) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, len(ordered) * at // 100)]


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    import django
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SHOW server_version")
        postgres = cursor.fetchone()[0]
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "cores": os.cpu_count(),
        "load_average": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        "django": django.get_version(),
        "postgresql": postgres,
        "commit": commit.strip(),
    }

"""Work that all test processes share, done once by the first that needs it: a migrated database, the static files.

Run as a program it does both, so that they are ready when the first test asks.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

from embedded.preparation import fingerprint
from embedded.profile import ROOT, STATE

_DIRECTORY = STATE / "test" / "prepared"
_KEPT_STATIC_FILES = 3


def owner_url(environment: Mapping[str, str] = os.environ) -> str:
    """The address of the database for the role that makes and migrates databases."""
    return environment.get("DATABASE_OWNER_URL") or environment["DATABASE_URL"]


def create_migrated_database(name: str, environment: Mapping[str, str] = os.environ) -> None:
    """Create the database `name` on the server that `environment` names, as all migrations leave one."""
    template = template_database(environment)
    with psycopg.connect(owner_url(environment), autocommit=True) as connection:
        connection.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template))
        )


def template_name(environment: Mapping[str, str] = os.environ) -> str:
    return f"{urlsplit(owner_url(environment)).path.strip('/')}_template"


def template_database(environment: Mapping[str, str] = os.environ) -> str:
    """The name of a migrated database to copy, made where there is none of today's sources; nobody connects to it."""
    url, name = owner_url(environment), template_name(environment)
    state = fingerprint([*(ROOT / "dagy_console").rglob("*.py"), ROOT / "requirements" / "base.txt"])
    with _turn(f"{urlsplit(url).port}-{name}"), psycopg.connect(url, autocommit=True) as connection:
        query = "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = %s"
        if connection.execute(query, [name]).fetchone() == (state,):
            return name
        drop_database(name, environment)
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        addresses = {
            variable: urlunsplit(urlsplit(environment[variable])._replace(path=f"/{name}"))
            for variable in ("DATABASE_URL", "DATABASE_OWNER_URL")
            if variable in environment
        }
        _manage("migrate", "--noinput", variables=addresses)
        # Last, since it says that the database is whole.
        connection.execute(sql.SQL("COMMENT ON DATABASE {} IS {}").format(sql.Identifier(name), sql.Literal(state)))
    return name


def drop_database(name: str, environment: Mapping[str, str] = os.environ) -> None:
    """Drop a database of the server that `environment` names, where there is one of that name."""
    with psycopg.connect(owner_url(environment), autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def static_files() -> Path:
    """The directory of the collected static files, kept for as long as their sources are the same."""
    sources = [path for path in (ROOT / "static").rglob("*") if path.is_file()]
    state = fingerprint([*sources, ROOT / "requirements" / "base.txt", ROOT / "dagy_console" / "settings.py"])
    directory = _DIRECTORY / f"static-{state[:16]}"
    with _turn("static"):
        if directory.exists():
            return directory
        kept = sorted(_DIRECTORY.glob("static-*"), key=lambda path: path.stat().st_mtime)
        for old in kept[: 1 - _KEPT_STATIC_FILES]:
            shutil.rmtree(old)
        unfinished = directory.with_name(f"unfinished-{directory.name}")
        # The API documentation's 25 MB of scripts would take a minute to compress.
        arguments = ("--noinput", "--clear", "--ignore", "ninja")
        _manage("collectstatic", *arguments, variables={"DAGY_STATIC_ROOT": str(unfinished)})
        unfinished.rename(directory)
    return directory


@contextmanager
def _turn(name: str) -> Iterator[None]:
    _DIRECTORY.mkdir(parents=True, exist_ok=True)
    with (_DIRECTORY / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _manage(*arguments: str, variables: dict[str, str]) -> None:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
    command = [sys.executable, "manage.py", *arguments]
    done = subprocess.run(command, env=environment | variables, cwd=ROOT, capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stdout + done.stderr


if __name__ == "__main__":
    template_database()
    static_files()

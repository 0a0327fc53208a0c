"""What we ask a PostgreSQL server ourselves."""

from __future__ import annotations

import psycopg
from psycopg import sql

from embedded.errors import EmbeddedError


def accepts_connections(url: str) -> bool:
    """Whether the server of `url` lets us in now. Raises EmbeddedError where it refuses our password."""
    try:
        psycopg.connect(url, connect_timeout=2).close()
    except psycopg.OperationalError as error:
        if "password authentication failed" in str(error):
            raise EmbeddedError(
                "PostgreSQL refuses the password in secrets.json, which is not that of its data: put the old file "
                "back, or remove the profile's directory postgres to begin with an empty database."
            ) from None
        return False
    return True


def create_database(url: str, name: str) -> None:
    """Make an empty database on the server of `url` where there is none of that name."""
    with psycopg.connect(url, autocommit=True, connect_timeout=5) as connection:
        if not connection.execute("select 1 from pg_database where datname = %s", [name]).fetchone():
            connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))

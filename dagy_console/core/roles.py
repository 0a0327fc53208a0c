"""The database's roles: an owner that migrates, the application, which owns nothing, and readers.

The application may do with rows what it needs, and nothing with tables: what the audit log's triggers refuse, it can't
have back by removing them. Where there is one role for both, the triggers alone protect.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import psycopg
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import IntegrityError, ProgrammingError, connection, transaction
from psycopg import errors, sql

# Tables of which the application may write new rows and read the old; the apps that own such tables register here.
APPEND_ONLY: set[str] = set()
# Without a login: GRANT dagy_reader TO somebody.
READER = "dagy_reader"
# Whose rows sign people in.
_NOT_FOR_READERS = {"core_outgoingmail", "django_session", "mfa_authenticator"}

_TABLES = """
SELECT relname, relispartition FROM pg_class
WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND pg_has_role(relowner, 'USAGE')
"""


@contextmanager
def connected_as(role: str) -> Iterator[None]:
    """Django's connections to the same database are those of `role`, `owner` or `application`, in the block."""
    before = dict(connection.settings_dict)
    connection.close()
    connection.settings_dict.update(settings.DATABASE_ROLES[role])
    try:
        yield
    finally:
        connection.close()
        connection.settings_dict.update({name: before[name] for name in settings.DATABASE_ROLES[role]})


def owns_the_record() -> bool:
    """Whether the application's role could take the triggers of an append-only table away. Raises psycopg.Error."""
    application = {**connection.settings_dict, **settings.DATABASE_ROLES["application"]}
    names = {"USER": "user", "PASSWORD": "password", "HOST": "host", "PORT": "port", "NAME": "dbname"}
    given = {name: application[key] for key, name in names.items() if application[key]}
    query = "SELECT bool_or(pg_has_role(relowner, 'USAGE')) FROM pg_class WHERE oid::regclass::text = ANY (%s::text[])"
    with psycopg.connect(**(application["OPTIONS"] | given)) as own:
        found = own.execute(query, [sorted(APPEND_ONLY)]).fetchone()
    return bool(found and found[0])


@transaction.atomic
def grant() -> None:
    """As the owner: give application and readers their rights on all tables there are, and make the roles they lack.

    Each migration is followed by it, so that new tables are open to the application and new partitions are not.
    Raises ImproperlyConfigured where the application's role is missing and the owner may not make it.
    """
    application = settings.DATABASE_ROLES["application"]
    if application["USER"] == settings.DATABASE_ROLES["owner"]["USER"]:
        return
    has_reader = _ensure_role(READER, "NOLOGIN")
    if not _ensure_role(application["USER"], "LOGIN", application["PASSWORD"]):
        raise ImproperlyConfigured(
            f"The role {application['USER']} of DATABASE_URL does not exist, and that of DATABASE_OWNER_URL may not "
            "make it: make it (CREATE ROLE … LOGIN PASSWORD …), then run migrate again."
        )
    with connection.cursor() as cursor:
        cursor.execute(_TABLES)
        tables = dict(cursor.fetchall())
        cursor.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
        cursor.execute(_grants(application["USER"], {name: _rights(name, tables[name]) for name in tables}))
        cursor.execute(
            sql.SQL("GRANT EXECUTE ON FUNCTION make_partition TO {}").format(sql.Identifier(application["USER"]))
        )
        if has_reader:
            readable = {name: "" if part or name in _NOT_FOR_READERS else "SELECT" for name, part in tables.items()}
            cursor.execute(_grants(READER, readable))


def _rights(table: str, is_partition: bool) -> str:
    if is_partition:
        # Reached through their table alone, whose rights count then.
        return ""
    return "SELECT, INSERT" if table in APPEND_ONLY else "SELECT, INSERT, UPDATE, DELETE"


def _grants(role: str, rights: Mapping[str, str]) -> sql.Composed:
    """For each table: all rights away, then those of `rights`."""
    name = sql.Identifier(role)
    statements = [sql.SQL("GRANT USAGE ON SCHEMA public TO {}").format(name)]
    for table, given in sorted(rights.items()):
        statements.append(sql.SQL("REVOKE ALL ON {} FROM {}").format(sql.Identifier(table), name))
        if given:
            statements.append(sql.SQL("GRANT " + given + " ON {} TO {}").format(sql.Identifier(table), name))
    return sql.SQL("; ").join(statements)


def _ensure_role(role: str, login: str, password: str = "") -> bool:
    """Make the role where it is missing; whether it is there now."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT FROM pg_roles WHERE rolname = %s", [role])
        if cursor.fetchone() is not None:
            return True
        statement = sql.SQL("CREATE ROLE {} " + login).format(sql.Identifier(role))
        if password:
            # Its hash: a password would stand in the server's log.
            hashed = cursor.connection.pgconn.encrypt_password(password.encode(), role.encode(), b"scram-sha-256")
            statement += sql.SQL(" PASSWORD {}").format(sql.Literal(hashed.decode()))
        try:
            with transaction.atomic():
                cursor.execute(statement)
        except (ProgrammingError, IntegrityError) as error:
            if isinstance(error.__cause__, errors.InsufficientPrivilege):
                return False
            # Another migrate was first; the second says so where the two ran at the same moment.
            if not isinstance(error.__cause__, errors.DuplicateObject | errors.UniqueViolation):
                raise
    return True

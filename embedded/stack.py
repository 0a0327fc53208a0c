"""The three servers of a profile, started together."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from embedded import postgres
from embedded.errors import EmbeddedError
from embedded.files import read_json, rotate, write_json
from embedded.ports import kept_ports
from embedded.postgres import Postgres
from embedded.processes import MARKER, Child, stop, stop_leftovers, wait_until
from embedded.profile import Profile
from embedded.redis import Redis
from embedded.s3 import ACCESS_KEY, REGION, S3

# Redis databases that one user of a shared stack has for itself.
REDIS_DATABASES_EACH = 16

_NOT_FOR_SERVERS = ("PG", "AWS_", "DAGY_", "PYTHONDONTWRITEBYTECODE")

_PORTS = {
    "postgres": {"postgres": "PostgreSQL"},
    "redis": {"redis": "Redis"},
    "s3": {
        "s3": "the S3 server",
        "s3_account": "the S3 server's accounts",
        "s3_container": "the S3 server's containers",
        "s3_object": "the S3 server's objects",
    },
}


@dataclass
class Stack:
    """PostgreSQL, Redis and S3 of `profile`, without those that `environ` names, which are used instead.

    `extra_ports` are further ports to keep for this profile: name to what a person calls that server.
    """

    profile: Profile
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    extra_ports: Mapping[str, str] = field(default_factory=dict)
    preferred_ports: Mapping[str, int] = field(default_factory=dict)
    children: list[Child] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        self.own = own_servers(self.environ)
        self.ports: dict[str, int] = {}
        self.has_new_database = False

    def launch(self) -> None:
        """Start the processes without waiting for them; whoever calls it holds the profile's lock.

        Raises EmbeddedError: no space, a kept port that is taken, an external server that does not answer, and more.
        """
        stop_leftovers(self.profile.directory, postgres_data=postgres.data_directory(self.profile))
        self._require_external()
        names = {port: what for server in self.own for port, what in _PORTS[server].items()}
        path = self.profile.directory / "ports.json"
        self.ports = kept_ports(path, names | dict(self.extra_ports), preferred=self.preferred_ports)
        env = self._server_environment()
        # Swift takes longest to be ready, and a new PostgreSQL cluster is waited for: so in this order.
        if "s3" in self.own:
            self.children.append(self._s3().launch(env))
        if "redis" in self.own:
            self.children.append(self._redis().launch(env))
        if "postgres" in self.own:
            self.has_new_database = not postgres.data_directory(self.profile).exists()
            self.children.append(self._postgres().launch(env))

    def wait_for_databases(self, stopping: Callable[[], None] = lambda: None) -> None:
        """Wait for PostgreSQL and Redis, and make the database. `stopping` is called often and may raise."""
        if "redis" in self.own:
            wait_until(self._redis().is_ready, self._child("Redis"), stopping=stopping)
        if "postgres" in self.own:
            server = self._postgres()
            wait_until(server.is_ready, self._child("PostgreSQL"), stopping=stopping)
            server.create_database(postgres.DATABASE)

    def wait_for_s3(self, stopping: Callable[[], None] = lambda: None) -> None:
        """Wait for S3, and make the buckets. `stopping` is called often and may raise."""
        if "s3" in self.own:
            wait_until(self._s3().is_ready, self._child("S3"), stopping=stopping)
        self._ensure_buckets(self.environment())

    def announce(self) -> None:
        """Let other commands find these servers: `attach` works from here on."""
        write_json(self.profile.directory / "state.json", {"pid": os.getpid(), "own": self.own})

    def withdraw(self) -> None:
        (self.profile.directory / "state.json").unlink(missing_ok=True)

    def attach(self) -> None:
        """Use the servers that another process announced. Raises EmbeddedError where they are not those wanted here."""
        running = read_json(self.profile.directory / "state.json").get("own", [])
        missing = [server for server in self.own if server not in running]
        if missing:
            raise EmbeddedError(
                f"The {self.profile.name} servers that run now were started without {', '.join(missing)} (a variable "
                "named an external one): set the same variables here, or stop that command first."
            )
        self.ports = {name: int(port) for name, port in read_json(self.profile.directory / "ports.json").items()}

    def prepare_slot(self, slot: int) -> None:
        """Make database and buckets of `slot`, on servers of our own; tests leave nothing on somebody's S3 server."""
        if "postgres" in self.own:
            self._postgres().create_database(_suffixed(postgres.DATABASE, slot, "_"))
        self._ensure_buckets(self.environment(slot))

    def stop(self, *, seconds: Callable[[], float]) -> None:
        self.withdraw()
        stop(self.children, seconds=seconds)
        self.children.clear()

    def dead(self) -> Child | None:
        """A server that ended by itself. To be asked now and then: it also keeps their logs short."""
        for child in self.children:
            rotate(child.log)
        return next((child for child in self.children if not child.is_alive), None)

    def environment(self, slot: int = 0) -> dict[str, str]:
        """What a program needs in its environment to use the servers.

        Each `slot` has its own database, buckets, and range of 16 Redis databases, so that several users of one
        stack do not disturb each other.
        """
        env = dict(self.environ)
        # Without compiled files every process compiles all its libraries again, and takes three times as long to start.
        env.pop("PYTHONDONTWRITEBYTECODE", None)
        env.setdefault("DAGY_TRACES_BUCKET", _suffixed("dagy-traces", slot, "-"))
        env.setdefault("DAGY_ARTIFACTS_BUCKET", _suffixed("dagy-artifacts", slot, "-"))
        env.setdefault("AWS_DEFAULT_REGION", REGION)
        if "postgres" in self.own:
            database = _suffixed(postgres.DATABASE, slot, "_")
            env["DATABASE_URL"] = self._postgres().application_url(database)
            env["DATABASE_OWNER_URL"] = self._postgres().owner_url(database)
        if "redis" in self.own:
            env["REDIS_URL"] = self._redis().database_url(slot * REDIS_DATABASES_EACH)
        if "s3" in self.own:
            env |= self._s3_environment()
        # What is not in it belongs to somebody: tests clean up after themselves there.
        env["DAGY_EMBEDDED_SERVERS"] = ",".join(self.own)
        return env | _without_proxy(env)

    def marker(self) -> dict[str, str]:
        """The variable by which a later start knows a process that this one left behind."""
        return {MARKER: str(self.profile.directory)}

    def _s3_environment(self) -> dict[str, str]:
        server = self._s3()
        return {
            "AWS_ENDPOINT_URL_S3": server.endpoint_url,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": server.secret,
            "AWS_SESSION_TOKEN": "",
            "AWS_DEFAULT_REGION": REGION,
        }

    # The clients below take a second to import: Swift starts meanwhile, or they are not needed at all.

    def _require_external(self) -> None:
        if {"postgres", "redis"} - set(self.own):
            from embedded.external import require_external

            require_external(self.environ)

    def _ensure_buckets(self, environment: Mapping[str, str]) -> None:
        if not environment["DAGY_TRACES_BUCKET"] and not environment["DAGY_ARTIFACTS_BUCKET"]:
            return
        if "s3" not in self.own and not self.profile.keeps_data:
            # Each test makes the buckets that it needs, and takes them away: none is left on somebody's server.
            return
        from embedded.buckets import ensure_buckets

        ensure_buckets(environment)

    def _server_environment(self) -> dict[str, str]:
        kept = {name: value for name, value in self.environ.items() if not name.startswith(_NOT_FOR_SERVERS)}
        return kept | self.marker() | {"PYTHONUNBUFFERED": "1", "LC_ALL": "C.UTF-8"}

    def _child(self, name: str) -> Child:
        return next(child for child in self.children if child.name == name)

    def _postgres(self) -> Postgres:
        kept = self.profile.secrets()
        passwords = kept["postgres_password"], kept["postgres_application_password"]
        return Postgres(self.profile, self.ports["postgres"], *passwords)

    def _redis(self) -> Redis:
        return Redis(self.profile, self.ports["redis"], self.profile.secrets()["redis_password"])

    def _s3(self) -> S3:
        kept = self.profile.secrets()
        ports = {name: self.ports[name] for name in _PORTS["s3"]}
        return S3(self.profile, ports, kept["s3_secret"], kept["s3_hash_prefix"], kept["s3_hash_suffix"])


def own_servers(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Which of `postgres`, `redis` and `s3` to start: those that `environ` does not name."""
    named = {
        "postgres": bool(environ.get("DATABASE_URL")),
        "redis": bool(environ.get("REDIS_URL")),
        "s3": bool(environ.get("AWS_ENDPOINT_URL_S3") or environ.get("AWS_ACCESS_KEY_ID")),
    }
    return tuple(server for server, is_named in named.items() if not is_named)


def _suffixed(name: str, slot: int, joint: str) -> str:
    return f"{name}{joint}{slot}" if slot else name


def _without_proxy(env: Mapping[str, str]) -> dict[str, str]:
    named = env.get("no_proxy") or env.get("NO_PROXY") or ""
    value = ",".join(part for part in (named, "127.0.0.1", "localhost") if part)
    return {"NO_PROXY": value, "no_proxy": value}

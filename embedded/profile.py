"""A profile: one set of servers with its own directory, ports, passwords and data. There are two, `run` and `test`."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path

from embedded.errors import EmbeddedError
from embedded.files import read_json, require_free_space, write_json

ROOT = Path(__file__).resolve().parent.parent
STATE = ROOT / ".local"

_SECRETS = (
    "postgres_password",
    "postgres_application_password",
    "redis_password",
    "s3_secret",
    "s3_hash_prefix",
    "s3_hash_suffix",
    "django_secret_key",
)


@dataclass(frozen=True)
class Profile:
    """`state` is the directory that holds all profiles (`.local` of the checkout), `name` is `run` or `test`."""

    name: str
    state: Path = STATE

    @property
    def directory(self) -> Path:
        return self.state / self.name

    @property
    def logs(self) -> Path:
        return self.directory / "logs"

    @property
    def keeps_data(self) -> bool:
        """Tests begin with empty servers, and may trade safety for speed: nothing in them is worth keeping."""
        return self.name != "test"

    def prepare(self) -> None:
        """Make the directories. Raises EmbeddedError where this machine or this user cannot run the servers."""
        _require_named_user()
        self.logs.mkdir(parents=True, exist_ok=True)
        if not os.access(self.directory, os.W_OK) or not os.access(self.logs, os.W_OK):
            raise EmbeddedError(
                f"{self.directory} belongs to another user: start as that user, or remove it (and its data)."
            )
        require_free_space(self.directory)

    def secrets(self) -> dict[str, str]:
        """Passwords and keys, made on this machine at the first call and kept in a file with mode 0600."""
        path = self.directory / "secrets.json"
        kept = {name: str(value) for name, value in read_json(path).items()}
        missing = [name for name in _SECRETS if name not in kept]
        if missing:
            kept.update({name: secrets.token_hex(24) for name in missing})
            write_json(path, kept)
        return kept

    def fresh_directory(self, name: str) -> Path:
        """`<directory>/<name>`, made where missing; emptied first where this profile does not keep its data."""
        path = self.directory / name
        if not self.keeps_data:
            shutil.rmtree(path, ignore_errors=True)
        path.mkdir(mode=0o700, exist_ok=True)
        return path


def _require_named_user() -> None:
    try:
        pwd.getpwuid(os.geteuid())
    except KeyError:
        raise EmbeddedError(
            f"User id {os.geteuid()} has no entry in /etc/passwd, and PostgreSQL refuses to work for it: "
            "start as a user that has one, or set DATABASE_URL, REDIS_URL and AWS_ENDPOINT_URL_S3 to your own servers."
        ) from None

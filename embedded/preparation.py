"""What must be done before the console serves (migrations, static files, the demo), where something changed."""

from __future__ import annotations

import hashlib
import json
import secrets
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from embedded.errors import EmbeddedError
from embedded.files import read_json, write_json
from embedded.processes import Child, spawn, stop
from embedded.profile import ROOT, Profile

DEMO_PEOPLE = {
    "super_admin": "alice@dagy.example",
    "owner": "bob@blue.example",
    "viewer": "vera@blue.example",
}


@dataclass(frozen=True)
class Step:
    """One `manage.py` command; `fingerprint` says for which state of its sources it was done."""

    name: str
    arguments: tuple[str, ...]
    fingerprint: str


@dataclass(frozen=True)
class Preparation:
    """The steps of `profile`, for programs that run with `environment`. Done steps are noted in `done.json`."""

    profile: Profile
    environment: Mapping[str, str]
    own_database: bool

    def before_s3(self) -> list[Step]:
        """Steps that need no S3 server and can run while that one starts."""
        database = self.environment["DATABASE_URL"]
        migrations = (ROOT / "dagy_console").glob("**/migrations/*.py")
        # Somebody else may have emptied a database that is not ours: there, migrate looks every time.
        state = fingerprint([*migrations, *_locked()], database if self.own_database else secrets.token_hex(8))
        static = [path for top in ("static", "dagy_console") for path in (ROOT / top).glob("**/*") if _is_static(path)]
        return [
            Step("Migrations", ("migrate", "--noinput"), state),
            Step("Static files", ("collectstatic", "--noinput", "--clear"), fingerprint([*static, *_locked()], "")),
        ]

    def after_s3(self) -> list[Step]:
        """The demo, once for each database and S3 server."""
        place = self.environment["DATABASE_URL"] + self.environment.get("AWS_ENDPOINT_URL_S3", "aws")
        return [Step("Demo", ("seed_demo", "--no-runs"), fingerprint([], place))]

    def when_live(self) -> list[Step]:
        """Runs of the demo's flows: nobody needs to wait for these."""
        (demo,) = self.after_s3()
        return [Step("Demo runs", ("seed_demo",), demo.fingerprint)]

    def run(self, steps: Sequence[Step], stopping: Callable[[], None]) -> None:
        """Run the `steps` that are not done yet, at the same time. `stopping` is called often and may raise.

        Raises EmbeddedError where one fails.
        """
        running = self.begin(steps)
        try:
            for step, child in running:
                _wait(child, stopping)
                self._note(step)
        finally:
            stop([child for _, child in running], seconds=lambda: 1)

    def begin(self, steps: Sequence[Step]) -> list[tuple[Step, Child]]:
        """Start the `steps` that are not done yet, without waiting for them; see `settle`."""
        return [(step, self._start(step)) for step in self.missing(steps)]

    def settle(self, begun: list[tuple[Step, Child]], say: Callable[[str], None]) -> None:
        """Take those that have ended out of `begun`; `say` of one that failed. It is tried again at the next start."""
        for step, child in [one for one in begun if not one[1].is_alive]:
            begun.remove((step, child))
            if child.process.returncode:
                say(f"{step.name} failed {child.describe_end()}.")
            else:
                self._note(step)

    def _note(self, step: Step) -> None:
        write_json(self._done, read_json(self._done) | {step.name: step.fingerprint})

    def missing(self, steps: Sequence[Step]) -> list[Step]:
        """Those of `steps` that are not done for the present state of their sources."""
        done = read_json(self._done)
        return [step for step in steps if done.get(step.name) != step.fingerprint]

    def forget(self) -> None:
        """Do all steps again: the database is new."""
        self._done.unlink(missing_ok=True)

    @property
    def _done(self) -> Path:
        return self.profile.directory / "done.json"

    def _start(self, step: Step) -> Child:
        log = self.profile.logs / f"{step.name.lower().replace(' ', '-')}.log"
        command = [sys.executable, "manage.py", *step.arguments]
        # The owner's address is for migrations alone.
        hidden = () if step.arguments[0] == "migrate" else ("DATABASE_OWNER_URL",)
        env = {name: value for name, value in self.environment.items() if name not in hidden}
        return spawn(step.name, command, log=log, env=env, cwd=ROOT)


def demo_passwords(profile: Profile) -> dict[str, str]:
    """A random password for each person of the demo, made at the first call and kept with mode 0600."""
    path = profile.directory / "demo.json"
    kept = {name: str(password) for name, password in read_json(path).items()}
    missing = [name for name in DEMO_PEOPLE if name not in kept]
    if missing:
        kept.update({name: secrets.token_urlsafe(12) for name in missing})
        write_json(path, kept)
    return kept


def _wait(child: Child, stopping: Callable[[], None]) -> None:
    while child.is_alive:
        stopping()
        time.sleep(0.05)
    if child.process.returncode:
        raise EmbeddedError(f"{child.name} failed {child.describe_end()}.")


def _locked() -> Iterable[Path]:
    return (ROOT / "requirements" / "base.txt",)


def _is_static(path: Path) -> bool:
    return path.is_file() and "static" in path.relative_to(ROOT).parts[:-1]


def fingerprint(files: Iterable[Path], more: str = "") -> str:
    """The state of these files of the checkout, and of `more`."""
    found = hashlib.sha256(json.dumps(more).encode())
    for path in sorted(files):
        found.update(f"{path.relative_to(ROOT)}\0".encode())
        found.update(hashlib.sha256(path.read_bytes()).digest())
    return found.hexdigest()

"""`python -m embedded run`: the console with all it needs, from one command, until Ctrl-C."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from embedded.console import Console
from embedded.errors import EmbeddedError
from embedded.files import read_json, try_lock, write_json
from embedded.postgres import data_directory
from embedded.preparation import DEMO_PEOPLE, Preparation, Step, demo_passwords
from embedded.processes import Child, adopt_orphans, end_orphans, stop
from embedded.profile import Profile
from embedded.signals import Stopped, StopSignals
from embedded.stack import Stack

_PREFERRED_PORTS = {"web": 8000, "inbox": 8025}
_PORTS = {"web": "the web server", "inbox": "the inbox", "smtp": "the inbox's mail server"}
_CONSOLE_SECONDS = 6
_SERVERS_SECONDS = 4


def run(profile: Profile) -> int:
    """Serve until a signal; exit code 0 then. Raises EmbeddedError for all that keeps it from serving."""
    signals = StopSignals()
    profile.prepare()
    lock = try_lock(profile.directory / "lock")
    if lock is None:
        raise EmbeddedError(_already_running(profile))
    adopt_orphans()
    stack = Stack(profile, extra_ports=_PORTS, preferred_ports=_PREFERRED_PORTS)
    running = _Running(profile, stack, signals)
    try:
        running.start()
        running.keep()
    except Stopped:
        pass
    finally:
        running.stop()
        end_orphans()
        os.close(lock)
    return 0


@dataclass
class _Running:
    profile: Profile
    stack: Stack
    signals: StopSignals
    console: Console | None = None
    preparation: Preparation | None = None
    begun: list[tuple[Step, Child]] = field(default_factory=list)

    def start(self) -> None:
        began = time.monotonic()
        _say("Starting PostgreSQL, Redis and the S3 server …")
        _description(self.profile).unlink(missing_ok=True)
        self.stack.launch()
        self.stack.wait_for_databases(self.signals.check)
        environment = self._environment()
        self.preparation = preparation = Preparation(
            self.profile, environment, own_database="postgres" in self.stack.own
        )
        if self.stack.has_new_database:
            preparation.forget()
        preparation.run(preparation.before_s3(), self.signals.check)
        if preparation.missing(preparation.after_s3()):
            _say("Making the demo's organizations, people and traces …")
            self.stack.wait_for_s3(self.signals.check)
            preparation.run(preparation.after_s3(), self.signals.check)
        self.console = Console(self.profile, environment, self.stack.ports)
        self.console.launch()
        self.stack.wait_for_s3(self.signals.check)
        self.console.wait_until_live(self.signals.check)
        self.stack.announce()
        write_json(_description(self.profile), self._describe(environment))
        self.begun = preparation.begin(preparation.when_live())
        self._greet(time.monotonic() - began)

    def keep(self) -> None:
        """Watch until a signal. Raises EmbeddedError where a database server dies, Stopped at a signal."""
        while True:
            self.signals.check()
            if dead := self.stack.dead():
                raise EmbeddedError(f"{dead.name} stopped {dead.describe_end()}. All else was stopped; start again.")
            if self.console:
                self.console.watch(_say)
            if self.preparation:
                self.preparation.settle(self.begun, _say)
            time.sleep(0.2)

    def stop(self) -> None:
        _description(self.profile).unlink(missing_ok=True)
        if self.signals.asked:
            _say("Stopping …")
        stop([child for _, child in self.begun], seconds=lambda: self.signals.patience(1))
        if self.console:
            self.console.stop(seconds=lambda: self.signals.patience(_CONSOLE_SECONDS))
        self.stack.stop(seconds=lambda: self.signals.patience(_SERVERS_SECONDS))
        if self.signals.asked:
            _say(f"Stopped. The data is kept in {self.profile.directory}.")

    def _environment(self) -> dict[str, str]:
        inbox = self._url("inbox")
        kept = self.profile.secrets()
        environment = self.stack.environment() | {
            "DAGY_BASE_URL": self._url("web"),
            "DAGY_DEMO_INBOX": inbox,
            "DAGY_DEMO": "1",
            "DAGY_REQUIRE_MFA": "0",
            "DAGY_DEMO_PASSWORDS": json.dumps(demo_passwords(self.profile)),
            "DAGY_STATIC_ROOT": str(self.profile.directory / "staticfiles"),
            "DAGY_SPOOL_DIR": str(self.profile.directory / "spool"),
            "DJANGO_SETTINGS_MODULE": "dagy_console.settings",
            "PYTHONUNBUFFERED": "1",
        }
        environment.setdefault("DAGY_SECRET_KEY", kept["django_secret_key"])
        environment.setdefault("DAGY_LOG_FORMAT", "console")
        environment.setdefault("DAGY_CHANNEL_ALLOWED_HOSTS", "127.0.0.1")
        environment.setdefault("DAGY_SLACK_URL", inbox)
        environment.setdefault("DAGY_PAGERDUTY_URL", inbox)
        environment.setdefault("DAGY_EMAIL_URL", f"smtp://127.0.0.1:{self.stack.ports['smtp']}")
        environment.pop("DAGY_DEBUG", None)
        return environment | self.stack.marker()

    def _url(self, server: str) -> str:
        return f"http://127.0.0.1:{self.stack.ports[server]}"

    def _describe(self, environment: Mapping[str, str]) -> dict[str, object]:
        passwords = demo_passwords(self.profile)
        users = {name: {"email": email, "password": passwords[name]} for name, email in DEMO_PEOPLE.items()}
        region = environment["AWS_DEFAULT_REGION"]
        s3 = {
            "endpoint_url": environment.get("AWS_ENDPOINT_URL_S3") or f"https://s3.{region}.amazonaws.com",
            "access_key_id": environment.get("AWS_ACCESS_KEY_ID"),
            "secret_access_key": environment.get("AWS_SECRET_ACCESS_KEY"),
            "region": region,
            "traces_bucket": environment["DAGY_TRACES_BUCKET"],
            "artifacts_bucket": environment["DAGY_ARTIFACTS_BUCKET"],
        }
        return {
            "url": self._url("web"),
            "inbox_url": self._url("inbox"),
            "users": users,
            "database_url": environment["DATABASE_URL"],
            "redis_url": environment["REDIS_URL"],
            "s3": s3,
        }

    def _greet(self, seconds: float) -> None:
        passwords = demo_passwords(self.profile)
        _say(f"\nDagy Console serves at {self._url('web')}/console/  (ready after {seconds:.1f} s)\n")
        for name, email in DEMO_PEOPLE.items():
            _say(f"  {name.replace('_', ' '):<12} {email:<20} {passwords[name]}")
        _say("\nDAGY_REQUIRE_MFA is off here: elsewhere super admins need a second factor.")
        _say("Channels of alerts may ask 127.0.0.1 here: elsewhere only public addresses, by https.")
        _say(f"Data: {self.profile.directory}")
        if "postgres" in self.stack.own:
            _say(f"Database: {data_directory(self.profile)}")
        _say(f"Inbox: {self._url('inbox')}/ gets the mails and alerts: nothing leaves this machine")
        _say(f"Logs: {self.profile.logs}")
        _say(f"For scripts: {_description(self.profile)}\nCtrl-C stops everything and keeps the data.\n")


def _already_running(profile: Profile) -> str:
    url = read_json(_description(profile)).get("url")
    where = f"at {url}" if url else "and is starting or stopping"
    return f"The console of this checkout runs already {where}: use that one, or stop it with Ctrl-C first."


def _description(profile: Profile) -> Path:
    return profile.state / "run.json"


def _say(text: str) -> None:
    print(text, flush=True)

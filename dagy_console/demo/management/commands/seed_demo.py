"""`manage.py seed_demo`: a believable platform to look at. Run again, it changes nothing but passwords given anew."""

import json
import os
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from dagy_console.core.errors import ConsoleError
from dagy_console.core.words import counted, number
from dagy_console.demo.alerts import make_rules
from dagy_console.demo.people import make_people
from dagy_console.demo.runs import has_flows, run_flows
from dagy_console.demo.storing import has_traces, store
from dagy_console.demo.traces import demo_objects


class Command(BaseCommand):
    help = "Make demo organizations, people (passwords: DAGY_DEMO_PASSWORDS, else random), traces, runs and rules."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--traces", type=int, default=900, help="how many, besides a few odd ones (default 900)")
        parser.add_argument("--no-runs", dest="runs", action="store_false", help="deploy and run no flows")

    def handle(self, *args: Any, traces: int, runs: bool, **options: Any) -> None:
        if traces < 0:
            raise CommandError("--traces must be 0 or more.")
        for email, password in make_people(_given_passwords()).items():
            self.stdout.write(f"{email} signs in with {password}")
        try:
            self._make_traces(traces)
            if runs:
                self._run_flows()
            self.stdout.write(f"{counted(make_rules(os.environ.get('DAGY_DEMO_INBOX', '')), 'rule')} for alerts")
        except ConsoleError as error:
            raise CommandError(f"{error.detail} People, and what was written so far, stay.") from None

    def _make_traces(self, count: int) -> None:
        if has_traces():
            self.stdout.write("There are traces already: none were written.")
            return
        objects = demo_objects(count, now=timezone.now())
        whole = counted(len(objects), "trace")
        store(objects, report=lambda written: self.stdout.write(f"{number(written)} of {whole} written"))

    def _run_flows(self) -> None:
        if has_flows():
            self.stdout.write("There are flows already: none were run.")
            return
        self.stdout.write(f"{counted(run_flows(), 'run')} of demo flows")


def _given_passwords() -> dict[str, str]:
    text = os.environ.get("DAGY_DEMO_PASSWORDS") or "{}"
    try:
        passwords = json.loads(text)
    except ValueError:
        passwords = None
    if not isinstance(passwords, dict) or not all(isinstance(value, str) for value in passwords.values()):
        raise CommandError(
            'DAGY_DEMO_PASSWORDS must be JSON such as {"super_admin": "…", "owner": "…", "viewer": "…"}.'
        )
    return passwords

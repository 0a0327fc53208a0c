"""`manage.py reindex_traces`: rebuild the index from the bucket; stopped half-way, it goes on where it was."""

import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from dagy_console.audit.actions import Action
from dagy_console.audit.recorder import record
from dagy_console.core.actors import SYSTEM
from dagy_console.core.errors import ConsoleError
from dagy_console.core.words import counted, number
from dagy_console.exceptions.index.grouping import recount_groups
from dagy_console.exceptions.index.reconciling import Findings, rebuild


class Command(BaseCommand):
    help = "Rebuild the trace index from the bucket. Resumable: run it again after a stop."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--restart",
            action="store_true",
            help="begin at the first key, not where the last try stopped, and count groups anew",
        )

    def handle(self, *args: Any, restart: bool, **options: Any) -> None:
        started = time.monotonic()
        _record(Action.REINDEX_STARTED, {"restart": restart})

        def report(found: Findings, upto: str) -> None:
            rate = found.listed / max(time.monotonic() - started, 0.001)
            self.stdout.write(f"{found.listed:,} listed, {found.read:,} read, {rate:,.0f}/s, at {upto}")

        try:
            found = rebuild(restart=restart, report=report)
            if restart:
                recount_groups()
        except ConsoleError as error:
            raise CommandError(f"{error.detail} What was indexed stays; run the command again to go on.") from None
        _record(Action.REINDEX_FINISHED, {"listed": found.listed, "read": found.read, "removed": found.removed})
        self.stdout.write(
            f"Done: {counted(found.listed, 'object')}, {number(found.read)} read, "
            f"{counted(found.removed, 'row')} of vanished objects removed."
        )


def _record(action: Action, after: dict[str, Any]) -> None:
    with transaction.atomic():
        record(action, actor=SYSTEM, resource_type="trace_index", after=after)

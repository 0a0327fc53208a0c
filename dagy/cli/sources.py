"""Where runs are looked up: on this machine, or on the server that DAGY_API_URL names."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING, Any, Protocol

from dagy.cli.exits import UsageError
from dagy.states import FINAL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dagy.local.index import RunLine
    from dagy.local.reading import LoggedEntry
    from dagy.records import RunRecord

_CANCEL_SECONDS = 15.0


class Runs(Protocol):
    where: str

    def listing(self, *, status: str | None, flow: str | None, limit: int) -> list[RunLine]: ...

    def find(self, text: str | None) -> str:
        """The id of the run that is meant; the latest for None. Raises RunNotFound."""
        ...

    def record(self, run_id: str) -> RunRecord: ...

    def log(self, run_id: str, task_id: str | None, level: str | None, *, follow: bool) -> Iterator[LoggedEntry]: ...

    def cancel(self, run_id: str, reason: str | None) -> str:
        """Returns the status that the run has then. Raises UsageError where it has ended already."""
        ...


def runs_of(arguments: Any) -> Runs:
    if arguments.local or not os.environ.get("DAGY_API_URL"):
        return LocalRuns()
    from dagy.cli.server_runs import ServerRuns

    return ServerRuns()


class LocalRuns:
    where = "local"

    def listing(self, *, status: str | None, flow: str | None, limit: int) -> list[RunLine]:
        from dagy.local import index

        return index.listing(status=status, flow=flow, limit=limit)

    def find(self, text: str | None) -> str:
        from dagy.local.reading import find_run

        return find_run(text)

    def record(self, run_id: str) -> RunRecord:
        from dagy.local.reading import read_run

        return read_run(run_id)

    def log(self, run_id: str, task_id: str | None, level: str | None, *, follow: bool) -> Iterator[LoggedEntry]:
        from dagy.local.reading import follow_log, read_log

        return follow_log(run_id, task_id, level) if follow else iter(read_log(run_id, task_id, level))

    def cancel(self, run_id: str, reason: str | None) -> str:
        from dagy.local.reading import goes_on, read_run

        record = read_run(run_id)
        if record["status"] in FINAL:
            raise UsageError(f"Run {run_id} has ended already: {record['status']}.")
        os.kill(record["process"]["pid"], signal.SIGTERM)
        deadline = time.monotonic() + _CANCEL_SECONDS
        while goes_on(run_id) and time.monotonic() < deadline:
            time.sleep(0.05)
        return read_run(run_id)["status"]

"""Flows of the demo's customers: deployed, and really run."""

import hashlib
import io
import time
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.db import connection

from dagy_console.accounts.credentials import actor_for
from dagy_console.accounts.models import Membership
from dagy_console.core.actors import Actor, Origin
from dagy_console.core.permissions import Role
from dagy_console.runs import executing
from dagy_console.runs.models import UNFINISHED_RUNS, Flow, Run, TaskRun
from dagy_console.runs.schedules import services as schedules
from dagy_console.runs.services import cancelling, deploying, triggering

FLOWS = Path(__file__).parent / "flows"
_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class _Flow:
    org_id: str
    file: str
    name: str
    days: tuple[str, ...] = ()
    """One run for each; none: one run without parameters."""


_ENDING = (
    _Flow("org_acme", "before/invoices.py", "invoice_import"),
    _Flow("org_acme", "invoices.py", "invoice_import"),
    _Flow("org_blue", "reports.py", "daily_report", ("2026-01-12", "2026-01-13", "2026-01-14")),
    _Flow("org_acme", "reports.py", "daily_report", ("2026-01-14",)),
    _Flow("org_wayne", "warehouse.py", "warehouse_export"),
    _Flow("org_acme", "warehouse.py", "demand_model"),
    _Flow("org_blue", "warehouse.py", "stock_booking"),
)
_HANGING = _Flow("org_wayne", "warehouse.py", "nightly_backup")


def has_flows() -> bool:
    return Flow.objects.exists()


def run_flows() -> int:
    """How many runs there are then: those that end, for all that there is to see; one that was cancelled while it ran;
    and one that hangs, for a worker to take.

    Raises ConsoleError: S3 does not answer.
    """
    if not settings.ARTIFACTS_BUCKET:
        return 0
    with ThreadPoolExecutor(2, thread_name_prefix="demo") as pool:
        for (
            flow
        ) in _ENDING:  # one after another: the version that works is deployed, and run, before the one that fails
            list(pool.map(_execute, list(_triggered(flow))))
        _cancel_one(pool)
    list(_triggered(_HANGING))
    _schedule()
    return Run.objects.count()


def _triggered(flow: _Flow) -> Iterator[Run]:
    actor = _owner(flow.org_id)
    data = _bundle(flow.file)
    deploying.deploy(
        actor=actor,
        org_id=flow.org_id,
        bundle=data,
        sha256=hashlib.sha256(data).hexdigest(),
        entrypoint=f"{Path(flow.file).name}:{flow.name}",
    )
    asked = [{"day": day} for day in flow.days]
    for parameters in asked or [{}]:
        yield triggering.trigger(actor=actor, org_id=flow.org_id, flow=flow.name, parameters=parameters)


def _execute(run: Run) -> None:
    """Here, or by a worker, where one is quicker."""
    try:
        executing.execute(run.pk)
        _wait(lambda: not Run.objects.filter(pk=run.pk, status__in=UNFINISHED_RUNS).exists())
    finally:
        connection.close()


def _cancel_one(pool: ThreadPoolExecutor) -> None:
    (run,) = _triggered(_HANGING)
    executed = pool.submit(_execute, run)
    _wait(lambda: TaskRun.objects.filter(run=run, status="RUNNING").exists())
    cancelling.cancel(actor=_owner(_HANGING.org_id), run_id=run.pk, reason="it waits for a lock that nobody gives back")
    executed.result()


def _schedule() -> None:
    schedules.create_schedule(
        actor=_owner("org_blue"),
        org_id="org_blue",
        flow="daily_report",
        expression="30 6 * * *",
        time_zone="Europe/Berlin",
    )


def _bundle(file: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo(Path(file).name), (FLOWS / file).read_bytes())
    return buffer.getvalue()


def _owner(org_id: str) -> Actor:
    membership = Membership.objects.select_related("user").filter(organization=org_id, role=Role.OWNER).first()
    assert membership is not None, f"{org_id} has no owner"
    return actor_for(membership.user, Origin())


def _wait(is_done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _SECONDS
    while not is_done():
        if time.monotonic() > deadline:
            raise TimeoutError(f"A run of the demo has not come to its end in {_SECONDS:.0f} s.")
        time.sleep(0.05)

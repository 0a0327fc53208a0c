"""What a suspension does to an organization's runs: those that wait go on waiting; those that run may be cancelled."""

from dagy_console.accounts.models import RunningRuns, Suspension
from dagy_console.core.actors import SYSTEM
from dagy_console.runs.models import Run, RunStatus
from dagy_console.runs.services.cancelling import stop


def on_suspended(suspension: Suspension) -> None:
    """In the transaction that suspends. Workers don't begin a run of it from then on (`executing`)."""
    if suspension.running_runs != RunningRuns.CANCEL:
        return
    runs = Run.objects.select_related("flow", "deployment", "deployment__flow")
    for run in runs.filter(organization=suspension.organization_id, status=RunStatus.RUNNING):
        stop(run, actor=SYSTEM, reason="its organization is suspended")

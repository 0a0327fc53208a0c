"""Celery entries. Arguments are ids; the work is in services."""

import uuid

from celery import shared_task


@shared_task(name="exceptions.run_deletion")
def run_deletion(job_id: str) -> None:
    from dagy_console.exceptions.deletions import services as deletion

    deletion.run_next(uuid.UUID(job_id))


@shared_task(name="exceptions.resume_deletions")
def resume_deletions() -> None:
    """Put jobs whose worker died, or whose message was lost, back to work."""
    from dagy_console.exceptions.deletions import services as deletion

    for job_id in deletion.unfinished_deletions():
        run_deletion.delay(str(job_id))


@shared_task(name="exceptions.reconcile")
def reconcile() -> None:
    """One pass of reconciliation; its problem is noted in the index's state and on /health."""
    from dagy_console.core.errors import Unavailable
    from dagy_console.exceptions.index import reconciling

    try:
        reconciling.reconcile()
    except Unavailable as error:
        reconciling.log.warning("traces.reconcile_failed", error=error.detail)


@shared_task(name="exceptions.remove_old_errors")
def remove_old_errors() -> None:
    """Daily housekeeping."""
    from dagy_console.exceptions.deletions import cleaning

    cleaning.remove_old_errors()

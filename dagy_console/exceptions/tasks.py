"""Celery entries. The work is in services; deletions are jobs (core/jobs.py)."""

from celery import shared_task


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

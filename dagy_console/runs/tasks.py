"""Celery entries: one message a run, whose argument is its id."""

import uuid

from celery import shared_task


@shared_task(name="runs.execute")
def execute(run_id: str) -> None:
    from dagy_console.runs import executing

    executing.execute(uuid.UUID(run_id))


@shared_task(name="runs.schedule")
def schedule() -> None:
    """Every few seconds: what is due. Two at once share it."""
    from dagy_console.runs.schedules import services

    services.start_due()


@shared_task(name="runs.resume")
def resume() -> None:
    """Every few seconds: runs that nobody works on, for a lost message or a lost worker."""
    from dagy_console.runs import resuming

    resuming.resume()

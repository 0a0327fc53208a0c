"""Celery entries of lists."""

from celery import shared_task

from dagy_console.listing import rollups


@shared_task(name="listing.roll_up")
def roll_up() -> None:
    """Days that are over, and what was changed in them since."""
    rollups.roll_up()

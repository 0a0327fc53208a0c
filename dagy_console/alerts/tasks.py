"""Celery entries of alerts."""

from celery import shared_task

from dagy_console.alerts import catching_up, checking, outbox
from dagy_console.alerts.silences import ending


@shared_task(name="alerts.check")
def check() -> None:
    """The rules whose turn it is."""
    checking.check_due()


@shared_task(name="alerts.check_fresh")
def check_fresh(measure_names: list[str]) -> None:
    """The rules of what has just come in, and those whose turn it is."""
    checking.check_due(fresh=measure_names)


@shared_task(name="alerts.catch_up")
def catch_up() -> None:
    """What fired and was over while nobody checked."""
    catching_up.catch_up()


@shared_task(name="alerts.tell_ended_silences")
def tell_ended_silences() -> None:
    """Whoever made a silence, that it is over."""
    ending.tell_ended()


@shared_task(name="alerts.remove_old")
def remove_old() -> None:
    """Deliveries that nobody asks about any more."""
    outbox.remove_old()

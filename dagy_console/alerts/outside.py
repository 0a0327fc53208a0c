"""Celery entries of alerts that wait for strangers: they have the queue `outside` and its worker for themselves."""

from celery import shared_task

from dagy_console.alerts import dispatch
from dagy_console.alerts import ping as dead_man


@shared_task(name="alerts.deliver")
def deliver(delivery_id: str) -> None:
    """One message, as soon as it is written."""
    dispatch.deliver_due(only=delivery_id)


@shared_task(name="alerts.deliver_due")
def deliver_due() -> None:
    """What is to be tried again, and what no worker was told of."""
    dispatch.deliver_due()


@shared_task(name="alerts.ping")
def ping() -> None:
    """Whoever watches the watcher, that it watches."""
    dead_man.ping()

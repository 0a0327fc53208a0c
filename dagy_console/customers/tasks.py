"""Celery entries of customers."""

from celery import shared_task

from dagy_console.customers.services import suspension


@shared_task(name="customers.lift_due_suspensions")
def lift_due_suspensions() -> None:
    suspension.lift_due()

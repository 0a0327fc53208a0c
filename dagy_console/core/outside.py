"""Celery entries that wait for the mail server: they have the queue `outside` and its worker for themselves."""

from celery import shared_task

from dagy_console.core import smtp


@shared_task(name="core.send_mail")
def send_mail(mail_id: int) -> None:
    smtp.deliver_due(only=mail_id)


@shared_task(name="core.send_mails")
def send_mails() -> None:
    """What failed before, and what no worker was told of."""
    smtp.deliver_due()

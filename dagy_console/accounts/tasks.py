"""Celery entries of accounts."""

from celery import shared_task

from dagy_console.accounts.denials import record_counted_denials
from dagy_console.accounts.impersonation import services as impersonations
from dagy_console.accounts.password_reset import services as password_reset
from dagy_console.accounts.sessions.using import remove_expired


@shared_task(name="accounts.remove_expired")
def remove_expired_sign_ins() -> None:
    remove_expired()


@shared_task(name="accounts.end_impersonations")
def end_impersonations() -> None:
    impersonations.end_due()


@shared_task(name="accounts.mail_reset_link")
def mail_reset_link(email: str) -> None:
    password_reset.mail_link(email)


@shared_task(name="accounts.record_denials")
def record_denials() -> None:
    record_counted_denials()

"""Sending mails of the outbox by the server of DAGY_EMAIL_URL.

At least once: a worker that dies between the server's yes and the note of it leaves the mail to be sent once more.
"""

import random
import smtplib
import time
from collections import Counter
from datetime import timedelta
from enum import Enum
from urllib.parse import urlsplit
from uuid import UUID

import structlog
from django.conf import settings
from django.core.mail import EmailMessage, get_connection
from django.core.mail.backends.base import BaseEmailBackend
from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from dagy_console.core import destinations, leases
from dagy_console.core.models import OutgoingMail

# Tried for about five hours: after 10 s, 20 s, 40 s …, at most two hours apart.
MOST_ATTEMPTS, FIRST_SECONDS, MOST_SECONDS = 12, 10, 7_200
ROUND_SECONDS = 5
_QUEUE = 1
log = structlog.get_logger(__name__)


class Outcome(Enum):
    SENT = "sent"
    REFUSED = "refused"
    NO_SERVER = "no server"


def deliver_due(*, only: int | None = None) -> int:
    """Send what is due, for ROUND_SECONDS; how many were sent. Many at once share them: none is sent by two.

    A server that can't be reached is not asked again in this round.
    """
    rows = OutgoingMail.objects.filter(next_at__lte=Now())
    rows = rows.filter(pk=only) if only else rows
    sent, ends_at = 0, time.monotonic() + ROUND_SECONDS
    while time.monotonic() < ends_at and (claimed := _claim(rows)):
        outcome = _deliver(*claimed)
        sent += outcome is Outcome.SENT
        if outcome is Outcome.NO_SERVER:
            break
    return sent


@transaction.atomic
def _claim(rows: QuerySet[OutgoingMail]) -> tuple[OutgoingMail, UUID] | None:
    """The next mail, with the token of its lease; None where none is due, or the server has enough to do."""
    destinations.claims_in_turn(_QUEUE)
    under_way = Counter({destinations.SMTP: OutgoingMail.objects.filter(lease_until__gte=Now()).count()})
    if destinations.SMTP in destinations.resting() | destinations.full(under_way):
        return None
    row = rows.filter(leases.free()).order_by("next_at").first()
    token = leases.take(OutgoingMail.objects.filter(pk=row.pk), seconds=leases.SECONDS) if row else None
    return (row, token) if row and token else None


def _deliver(row: OutgoingMail, token: UUID) -> Outcome:
    rows = OutgoingMail.objects.filter(pk=row.pk)
    with leases.hold(rows, taken=token):
        outcome = _try(row)
        leases.written(lambda: _settle(rows.filter(lease_owner=token), row, outcome))
    return outcome


def _try(row: OutgoingMail) -> Outcome:
    row.attempts += 1
    try:
        _hand_to_server(row)
    except (OSError, ValueError, smtplib.SMTPException) as error:
        given_up = is_final(error) or row.attempts >= MOST_ATTEMPTS
        row.next_at = None if given_up else timezone.now() + _pause(row.attempts)
        row.problem = f"{type(error).__name__}: {error}"[:500]
        row.text = "" if given_up else row.text
        log.warning("mail.not_sent", mail=row.pk, attempts=row.attempts, given_up=given_up)
        return Outcome.REFUSED if isinstance(error, _ABOUT_THIS_MAIL) else Outcome.NO_SERVER
    row.sent_at, row.next_at, row.problem, row.text = timezone.now(), None, "", ""
    return Outcome.SENT


def _settle(mine: QuerySet[OutgoingMail], row: OutgoingMail, outcome: Outcome) -> None:
    mine.update(attempts=row.attempts, next_at=row.next_at, sent_at=row.sent_at, problem=row.problem, text=row.text)
    destinations.note(destinations.SMTP, answered=outcome is not Outcome.NO_SERVER)


def _hand_to_server(row: OutgoingMail) -> None:
    """Raises OSError and SMTPException of the server, ValueError where the address can't be one."""
    # The same for each try: who gets a mail twice can tell that it is one.
    name = f"<mail-{row.pk}-{row.created_at:%Y%m%d%H%M%S}@{urlsplit(settings.BASE_URL).hostname}>"
    headers = {"Message-ID": name, "Auto-Submitted": "auto-generated"}
    EmailMessage(
        row.subject, row.text, settings.DEFAULT_FROM_EMAIL, row.to, connection=connection(), headers=headers
    ).send()


def connection() -> BaseEmailBackend:
    """To the server of DAGY_EMAIL_URL, which is set."""
    options = dict(settings.MAIL or {})
    return get_connection(options.pop("backend"), **options)


# What the server says of a mail, and not of itself: a wrong password or a full queue are no reason to give mails up.
_ABOUT_THIS_MAIL = (smtplib.SMTPRecipientsRefused, smtplib.SMTPDataError, ValueError)


def is_final(error: Exception) -> bool:
    """Whether another try would be told the same: the server refused this mail for good (5xx), or it can't be one."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return all(code >= 500 for code, _ in error.recipients.values())
    return isinstance(error, ValueError) or (isinstance(error, smtplib.SMTPDataError) and error.smtp_code >= 500)


def _pause(attempts: int) -> timedelta:
    seconds = min(MOST_SECONDS, FIRST_SECONDS * 2 ** (attempts - 1))
    return timedelta(seconds=seconds * random.uniform(0.8, 1.2))  # noqa: S311 - spreads, hides nothing

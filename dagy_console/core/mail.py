"""Mail: written down in the transaction of what it tells of, and sent by a worker.

At least once: a worker that dies between the server's yes and the note of it leaves the mail to be sent once more.
"""

import random
import smtplib
from collections.abc import Mapping, Sequence
from datetime import timedelta
from enum import Enum
from typing import Any
from urllib.parse import urlsplit

import structlog
from celery import current_app
from django.conf import settings
from django.core.mail import EmailMessage, get_connection
from django.core.mail.backends.base import BaseEmailBackend
from django.db import transaction
from django.db.models import Min, Q
from django.db.models.functions import Now
from django.template import Context, Engine
from django.utils import timezone

from dagy_console.core.health import Status
from dagy_console.core.models import OutgoingMail
from dagy_console.core.times import seconds_since
from dagy_console.core.words import counted

# Tried for about five hours: after 10 s, 20 s, 40 s …, at most two hours apart.
MOST_ATTEMPTS, FIRST_SECONDS, MOST_SECONDS = 12, 10, 7_200
KEPT = timedelta(days=30)
LATE = timedelta(minutes=5)
log = structlog.get_logger(__name__)


def send(*, to: Sequence[str], subject: str, template: str, context: Mapping[str, Any]) -> None:
    """Write `templates/mail/<template>.txt` to these addresses, in the transaction that is open.

    Without DAGY_EMAIL_URL nothing is sent, and the log says so.
    """
    if settings.MAIL is None:
        log.info("mail.not_set_up", subject=subject, addresses=len(to))
        return
    # Plain text: nothing in it is HTML, so nothing is escaped.
    plain = Context({"support": settings.SUPPORT_CONTACT, **context}, autoescape=False)
    text = Engine.get_default().get_template(f"mail/{template}.txt").render(plain)
    post(to=to, subject=subject, text=text)


def post(*, to: Sequence[str], subject: str, text: str) -> None:
    """Put a mail into the outbox for each address, so that one that is refused takes no other with it.

    The subject becomes one line: no header can be added by what somebody wrote.
    """
    line = " ".join(subject.split())[:250]
    for address in to:
        _hand_over(OutgoingMail.objects.create(to=[address], subject=line, text=text).pk)


def deliver_due(*, only: int | None = None) -> int:
    """Send what is due; how many were sent. Two at once share them: none is sent by both.

    A server that can't be reached is not asked again in this round.
    """
    sent = 0
    due = OutgoingMail.objects.filter(next_at__lte=Now())
    for mail_id in list((due.filter(pk=only) if only else due).order_by("next_at").values_list("pk", flat=True)[:200]):
        outcome = _deliver(mail_id)
        sent += outcome is Outcome.SENT
        if outcome is Outcome.NO_SERVER:
            break
    return sent


def remove_old() -> None:
    OutgoingMail.objects.filter(created_at__lt=timezone.now() - KEPT).delete()


def check() -> tuple[Status, str]:
    """For /health."""
    if settings.MAIL is None:
        return Status.HEALTHY, "not set up (DAGY_EMAIL_URL): no mails are sent"
    late = OutgoingMail.objects.filter(next_at__isnull=False, created_at__lt=timezone.now() - LATE).count()
    given_up = OutgoingMail.objects.filter(
        next_at=None, sent_at=None, created_at__gt=timezone.now() - timedelta(days=1)
    ).count()
    if late or given_up:
        return Status.DEGRADED, f"{counted(late, 'mail')} late, {given_up} given up in the last day"
    return Status.HEALTHY, "no mail is late"


def lag() -> float:
    """Seconds that the oldest mail has waited."""
    oldest = OutgoingMail.objects.filter(next_at__isnull=False).aggregate(Min("created_at"))["created_at__min"]
    return seconds_since(oldest) or 0


def _hand_over(mail_id: int) -> None:
    """Where the broker is down, the mail waits for beat."""
    # No `partial`: Django asks what fails for its name.
    transaction.on_commit(lambda: current_app.send_task("core.send_mail", [mail_id], retry=False), robust=True)


class Outcome(Enum):
    SENT = "sent"
    REFUSED = "refused"
    NO_SERVER = "no server"
    ANOTHERS = "another's"


@transaction.atomic
def _deliver(mail_id: int) -> Outcome:
    rows = OutgoingMail.objects.select_for_update(skip_locked=True)
    row = rows.filter(Q(next_at__lte=Now()), pk=mail_id).first()
    if row is None:
        return Outcome.ANOTHERS
    row.attempts += 1
    outcome = Outcome.SENT
    try:
        _hand_to_server(row)
    except (OSError, ValueError, smtplib.SMTPException) as error:
        given_up = is_final(error) or row.attempts >= MOST_ATTEMPTS
        row.next_at = None if given_up else timezone.now() + _pause(row.attempts)
        row.problem = f"{type(error).__name__}: {error}"[:500]
        row.text = "" if given_up else row.text
        outcome = Outcome.REFUSED if isinstance(error, _ABOUT_THIS_MAIL) else Outcome.NO_SERVER
        log.warning("mail.not_sent", mail=row.pk, attempts=row.attempts, given_up=given_up)
    else:
        row.sent_at, row.next_at, row.problem, row.text = timezone.now(), None, "", ""
    row.save()
    return outcome


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

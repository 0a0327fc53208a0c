"""Mail: written down in the transaction of what it tells of, and sent by a worker (`core.smtp`)."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import structlog
from celery import current_app
from django.conf import settings
from django.db import transaction
from django.db.models import Min
from django.template import Context, Engine
from django.utils import timezone

from dagy_console.core.health import Status
from dagy_console.core.models import OutgoingMail
from dagy_console.core.times import seconds_since
from dagy_console.core.words import counted

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

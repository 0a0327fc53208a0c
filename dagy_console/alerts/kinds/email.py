"""Email, by Django and the server of DAGY_EMAIL_URL: text and HTML, in one thread from first to last."""

import smtplib
from email.utils import formataddr, parseaddr
from hashlib import sha256
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.mail import EmailMultiAlternatives
from django.core.validators import validate_email
from django.template.loader import render_to_string

from dagy_console.alerts.kinds.sending import Sending, only
from dagy_console.alerts.messages import Message
from dagy_console.core import mail
from dagy_console.core.errors import Invalid
from dagy_console.core.forms import is_storable

MOST = 20


def checked(config: dict[str, Any]) -> dict[str, Any]:
    only(config, "to")
    to = config.get("to")
    if not isinstance(to, list) or not 1 <= len(to) <= MOST:
        raise Invalid.field("config.to", f"write a list of 1 to {MOST} addresses")
    for address in to:
        try:
            validate_email(address if isinstance(address, str) and is_storable(address) else "")
        except ValidationError:
            raise Invalid.field("config.to", f"{str(address)[:100]!r} is no address") from None
    return {"to": list(dict.fromkeys(address.strip().lower() for address in to))}


def masked(config: dict[str, Any]) -> dict[str, Any]:
    return dict(config)


def send(config: dict[str, Any], message: Message, *, key: str) -> Sending:
    if settings.MAIL is None:
        return Sending(False, None, "Mail is not set up here (DAGY_EMAIL_URL).", again=True)
    try:
        _mail(config["to"], message, key).send()
    except (smtplib.SMTPException, OSError, ValueError) as error:
        return Sending(False, _code(error), f"{type(error).__name__}: {error}"[:1_000], again=not mail.is_final(error))
    return Sending(True, 250, "The server took it.")


def _mail(to: list[str], message: Message, key: str) -> EmailMultiAlternatives:
    host = urlsplit(settings.BASE_URL).hostname or "localhost"
    thread = f"<alert-{sha256(message.subject.encode()).hexdigest()[:32]}@{host}>"
    # Its subject is the same from the first message to the last, or they are no thread.
    title = " ".join(message.title.split())[:200]
    context = {"message": message}
    made = EmailMultiAlternatives(
        f"[{message.severity}] {title}",
        render_to_string("alerts/mail.txt", context),
        formataddr(parseaddr(settings.DEFAULT_FROM_EMAIL)),
        to,
        connection=mail.connection(),
        headers={
            "Message-ID": f"<{sha256(key.encode()).hexdigest()[:32]}@{host}>",
            "In-Reply-To": thread,
            "References": thread,
            "Auto-Submitted": "auto-generated",
            "X-Auto-Response-Suppress": "All",
        },
    )
    made.attach_alternative(render_to_string("alerts/mail.html", context), "text/html")
    return made


def _code(error: Exception) -> int | None:
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return max(code for code, _ in error.recipients.values())
    return error.smtp_code if isinstance(error, smtplib.SMTPResponseException) else None

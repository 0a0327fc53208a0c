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
from dagy_console.core import smtp
from dagy_console.core.errors import Invalid
from dagy_console.core.forms import is_storable

MOST = 20
_NOBODY = "Not sent: no address of it has confirmed that it takes these mails, or it takes them no more."


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
    if not config["to"]:
        return Sending(False, None, _NOBODY)
    try:
        for address in config["to"]:
            _mail(address, message, key, config.get("stop_links", {}).get(address, "")).send()
    except (smtplib.SMTPException, OSError, ValueError) as error:
        return Sending(False, _code(error), f"{type(error).__name__}: {error}"[:1_000], again=not smtp.is_final(error))
    return Sending(True, 250, "The server took it.")


def _mail(to: str, message: Message, key: str, stop_link: str = "") -> EmailMultiAlternatives:
    host = urlsplit(settings.BASE_URL).hostname or "localhost"
    thread = f"<alert-{sha256(message.subject.encode()).hexdigest()[:32]}@{host}>"
    # Its subject is the same from the first message to the last, or they are no thread.
    title = " ".join(message.title.split())[:200]
    context = {"message": message, "stop_link": stop_link}
    made = EmailMultiAlternatives(
        f"[{message.severity}] {title}",
        render_to_string("alerts/mail.txt", context),
        formataddr(parseaddr(settings.DEFAULT_FROM_EMAIL)),
        [to],
        connection=smtp.connection(),
        headers={
            "Message-ID": f"<{sha256(f'{key}:{to}'.encode()).hexdigest()[:32]}@{host}>",
            "In-Reply-To": thread,
            "References": thread,
            "Auto-Submitted": "auto-generated",
            "X-Auto-Response-Suppress": "All",
        }
        | (_one_click(stop_link) if stop_link else {}),
    )
    made.attach_alternative(render_to_string("alerts/mail.html", context), "text/html")
    return made


def _one_click(stop_link: str) -> dict[str, str]:
    """RFC 8058: mail programs show a button that asks nobody anything."""
    return {"List-Unsubscribe": f"<{stop_link}>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"}


def _code(error: Exception) -> int | None:
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return max(code for code, _ in error.recipients.values())
    return error.smtp_code if isinstance(error, smtplib.SMTPResponseException) else None

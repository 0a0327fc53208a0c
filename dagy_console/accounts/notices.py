"""What a person is told by mail of their own account: who did not do it themselves learns of it."""

from django.utils import timezone

from dagy_console.core import mail
from dagy_console.core.actors import Origin


def account_changed(*, email: str, origin: Origin, what: str) -> None:
    """`what` is a sentence or two on what was done, and what ended by it."""
    context = {"what": what, "email": email, "origin": origin, "at": timezone.now()}
    mail.send(to=[email], subject="Your Dagy account was changed", template="own_account", context=context)

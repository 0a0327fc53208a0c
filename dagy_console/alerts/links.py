"""Links in messages, which work without signing in: by one an alert is acknowledged or silenced, by others an address
says that it takes a channel's mails, or takes them no more.

A link is signed. Opening it does nothing: mail scanners open every link. What is done by it is on record as the
channel's, or the address's.
"""

import uuid
from dataclasses import replace
from datetime import timedelta

from django.conf import settings
from django.core import signing

from dagy_console.alerts.models import Alert, Channel, Recipient
from dagy_console.core.actors import SYSTEM, Actor, Origin
from dagy_console.core.errors import NotFound

GOOD_FOR = timedelta(days=7)
_SALT, _CONFIRM, _STOP = "alerts.link", "alerts.confirm", "alerts.stop"


def link_to(alert: Alert, channel: Channel) -> str:
    token = signing.TimestampSigner(salt=_SALT).sign_object([str(alert.pk), str(channel.pk)])
    return f"{settings.BASE_URL}/alerts/{token}/"


def read(token: str) -> tuple[Alert, Channel]:
    """Raises NotFound: the link was changed, is too old, or its alert or channel is gone."""
    try:
        alert_id, channel_id = signing.TimestampSigner(salt=_SALT).unsign_object(token, max_age=GOOD_FOR)
    except signing.BadSignature:
        raise NotFound("This link is too old, or not whole. Sign in and look at the alert there.") from None
    alert = Alert.objects.select_related("rule").filter(pk=uuid.UUID(alert_id)).first()
    channel = Channel.objects.filter(pk=uuid.UUID(channel_id)).first()
    if alert is None or channel is None:
        raise NotFound("Its alert is gone, or the channel that it came by.")
    return alert, channel


def actor_of(channel: Channel, origin: Origin) -> Actor:
    """Whoever reads the channel: nobody knows who it is."""
    return replace(SYSTEM, id=str(channel.pk), email=f"a link in {channel.name}", origin=origin, credential="link")


def confirm_link(recipient: Recipient) -> str:
    """Good for a week."""
    return f"{settings.BASE_URL}/alerts/confirm/{_signed(recipient, _CONFIRM)}/"


def stop_link(recipient: Recipient) -> str:
    """Good for as long as its channel is there: a mail may be read late."""
    return f"{settings.BASE_URL}/alerts/stop/{_signed(recipient, _STOP)}/"


def _signed(recipient: Recipient, salt: str) -> str:
    return signing.TimestampSigner(salt=salt).sign_object(str(recipient.pk))


def whom_to_confirm(token: str) -> Recipient:
    """Raises NotFound."""
    return _recipient(token, _CONFIRM, GOOD_FOR)


def whom_to_stop(token: str) -> Recipient:
    """Raises NotFound."""
    return _recipient(token, _STOP, None)


def _recipient(token: str, salt: str, good_for: timedelta | None) -> Recipient:
    try:
        recipient_id = signing.TimestampSigner(salt=salt).unsign_object(token, max_age=good_for)
    except signing.BadSignature:
        raise NotFound("This link is too old, or not whole. Ask for another at the channel's page.") from None
    found = Recipient.objects.select_related("channel").filter(pk=uuid.UUID(recipient_id)).first()
    if found is None:
        raise NotFound("The channel that it was of is gone: nothing is sent by it any more.")
    return found


def owner_of(recipient: Recipient, origin: Origin) -> Actor:
    """Whoever reads the address's mails."""
    return replace(SYSTEM, id=str(recipient.pk), email=recipient.address, origin=origin, credential="link")

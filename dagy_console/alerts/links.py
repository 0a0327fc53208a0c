"""Links in messages by which an alert is acknowledged or silenced without signing in.

A link is signed, is of one alert and one channel, and is good for a week. Opening it does nothing: mail scanners open
every link. What is done by it is on record as the channel's.
"""

import uuid
from dataclasses import replace
from datetime import timedelta

from django.conf import settings
from django.core import signing

from dagy_console.alerts.models import Alert, Channel
from dagy_console.core.actors import SYSTEM, Actor, Origin
from dagy_console.core.errors import NotFound

GOOD_FOR = timedelta(days=7)
_SALT = "alerts.link"


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

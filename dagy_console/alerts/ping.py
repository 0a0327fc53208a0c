"""The ping to a dead-man service (DAGY_PING_URL): where it stops, somebody outside raises the alarm."""

from datetime import timedelta

import structlog
from django.conf import settings
from django.utils import timezone

from dagy_console.alerts.heartbeat import LATE_SECONDS, load
from dagy_console.core import outbound

log = structlog.get_logger(__name__)


def ping() -> None:
    """Tell the outside that rules are checked; where they are not, its silence is the message."""
    ended_at = load().ended_at
    if not settings.PING_URL or ended_at is None or timezone.now() - ended_at > timedelta(seconds=LATE_SECONDS):
        return
    try:
        answer = outbound.post(settings.PING_URL, b"", {})
    except (outbound.Forbidden, outbound.NoAnswer) as error:
        log.warning("alerts.ping_failed", problem=str(error))
        return
    if answer.status >= 300:
        log.warning("alerts.ping_failed", problem=f"It answered {answer.status}.")

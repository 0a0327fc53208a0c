"""Sessions of browsers: their last use, and their end."""

from datetime import timedelta

from allauth.usersessions.models import UserSession
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.utils import timezone

from dagy_console.accounts.models import AccessToken, User
from dagy_console.core.actors import Origin

# How old the last use on record may be: not each request is a write.
SEEN_EVERY = timedelta(minutes=1)


def note_use(user: User, session_key: str, origin: Origin) -> None:
    """Keep when, from where and with what a session was last used."""
    used = {
        "ip": origin.ip or "::",
        "user_agent": origin.user_agent[:200],
        "last_seen_at": timezone.now(),
    }
    UserSession.objects.update_or_create(
        session_key=session_key, defaults=used, create_defaults=used | {"user_id": user.pk}
    )


def remove_expired() -> None:
    """Take away sessions that have ended, and tokens that ended a month ago.

    Housekeeping: they open nothing any more, and how they began and ended is in the audit log.
    """
    SessionStore.clear_expired()
    UserSession.objects.exclude(session_key__in=Session.objects.values("session_key")).delete()
    AccessToken.objects.filter(expires_at__lt=timezone.now() - timedelta(days=30)).delete()

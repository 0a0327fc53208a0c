"""Whether the index follows the bucket, and when it last looked there, in words."""

from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.utils import timezone

from dagy_console.core.health import Status
from dagy_console.core.words import duration
from dagy_console.exceptions.models import IndexState

# Reconciliation promises 15 s; what is later than twice that is worth a word.
LATE_SECONDS = 30


@dataclass(frozen=True, slots=True)
class IndexStatus:
    """`behind_seconds`: since the bucket was last looked at; None where it never was."""

    configured: bool
    complete: bool
    behind_seconds: int | None
    problem: str | None
    text: str
    looked_at: datetime | None = None


def index_status() -> IndexStatus:
    if not settings.TRACES_BUCKET:
        text = "DAGY_TRACES_BUCKET is not set: exceptions are logged and not stored"
        return IndexStatus(False, False, None, text, text)
    state = IndexState.objects.filter(pk=1).first()
    if state is None or state.checked_at is None:
        return IndexStatus(True, False, None, (state.problem or None) if state else None, "index not filled yet")
    behind = max(0, int((timezone.now() - state.checked_at).total_seconds()))
    complete = state.complete_at is not None
    text = f"index {'complete' if complete else 'filling'}, last look {duration(behind)} ago"
    return IndexStatus(True, complete, behind, state.problem or None, text, state.checked_at)


def behind() -> int | None:
    """Seconds since the bucket was last looked at; None where it never was."""
    return index_status().behind_seconds


def check() -> tuple[Status, str]:
    status = index_status()
    if not status.configured:
        return Status.HEALTHY, "not in use: DAGY_TRACES_BUCKET is not set"
    if status.problem:
        return Status.DEGRADED, status.problem
    if status.behind_seconds is None or status.behind_seconds > LATE_SECONDS:
        return Status.DEGRADED, f"{status.text}; the worker and beat keep it up to date"
    return Status.HEALTHY, status.text

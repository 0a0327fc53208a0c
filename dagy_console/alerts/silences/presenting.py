"""Silences as JSON and on pages."""

from typing import Any

from django.urls import reverse
from django.utils import timezone

from dagy_console.alerts.models import Silence
from dagy_console.core.times import to_rfc3339
from dagy_console.core.visible import visible
from dagy_console.listing.language import Query


def state(silence: Silence) -> str:
    now = timezone.now()
    if silence.until <= now:
        return "over"
    return "active" if silence.starts_at <= now else "ahead"


def silence_out(silence: Silence) -> dict[str, Any]:
    """`hidden` is of those that a list has counted."""
    return {
        "id": str(silence.pk),
        "org_id": silence.organization_id,
        "matchers": silence.matchers,
        "reason": silence.reason,
        "state": state(silence),
        "starts_at": to_rfc3339(silence.starts_at),
        "until": to_rfc3339(silence.until),
        "ended_by": silence.ended_by or None,
        "hidden": getattr(silence, "hidden", 0),
        "created_by": silence.created_by,
        "created_at": to_rfc3339(silence.created_at),
    }


def silence_row(silence: Silence, query: Query | None = None) -> dict[str, Any]:
    return {
        "url": reverse("silences:silence", args=[silence.pk]),
        "pk": silence.pk,
        "text": visible(silence.text),
        "reason": visible(silence.reason),
        "state": state(silence),
        "org_id": silence.organization_id,
        "starts_at": silence.starts_at,
        "until": silence.until,
        "ended_by": visible(silence.ended_by),
        "hidden": getattr(silence, "hidden", 0),
        "created_by": visible(silence.created_by),
        "created_at": silence.created_at,
    }

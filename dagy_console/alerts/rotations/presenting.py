"""Rotations as JSON and on pages."""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.urls import reverse
from django.utils import timezone

from dagy_console.alerts.models import Channel, Override, Rotation, Rule
from dagy_console.alerts.on_call import WEEK, Shift, on_call, roster
from dagy_console.core.times import to_rfc3339
from dagy_console.core.visible import visible
from dagy_console.listing.language import Query

WEEKS = 8


def rotation_out(rotation: Rotation) -> dict[str, Any]:
    """Of one that was read with its turns."""
    overrides = list(rotation.overrides.all())
    shift = on_call(rotation, overrides, timezone.now())
    return {
        "id": str(rotation.pk),
        "org_id": rotation.organization_id,
        "name": rotation.name,
        "channel_ids": rotation.channel_ids,
        "time_zone": rotation.time_zone,
        "starts_at": to_rfc3339(rotation.starts_at),
        "on_call": {
            "channel_id": shift.channel_id,
            "name": _channel(rotation, shift).name,
            "until": to_rfc3339(shift.until),
            "override": shift.override is not None,
        },
        "overrides": [override_out(one) for one in overrides],
        "created_by": rotation.created_by,
        "created_at": to_rfc3339(rotation.created_at),
        "updated_at": to_rfc3339(rotation.updated_at),
    }


def override_out(override: Override) -> dict[str, Any]:
    return {
        "id": str(override.pk),
        "channel_id": str(override.channel_id),
        "name": override.channel.name,
        "starts_at": to_rfc3339(override.starts_at),
        "until": to_rfc3339(override.until),
        "reason": override.reason,
        "created_by": override.created_by,
        "created_at": to_rfc3339(override.created_at),
    }


def rotation_row(rotation: Rotation, query: Query | None = None) -> dict[str, Any]:
    """Who is on call now, until when, and who is next."""
    overrides = list(rotation.overrides.all())
    shift = on_call(rotation, overrides, timezone.now())
    following = on_call(rotation, overrides, shift.until)
    return {
        "url": reverse("rotations:rotation", args=[rotation.pk]),
        "pk": rotation.pk,
        "name": visible(rotation.name),
        "org_id": rotation.organization_id,
        "on_call": visible(_channel(rotation, shift).name),
        "override": shift.override is not None,
        "until": shift.until,
        "next": visible(_channel(rotation, following).name),
        "handover": handover_said(rotation),
        "created_at": rotation.created_at,
        "created_by": visible(rotation.created_by),
    }


def handover_said(rotation: Rotation) -> str:
    """ "Mondays at 09:00 Europe/Berlin"."""
    return f"{rotation.starts_at.astimezone(ZoneInfo(rotation.time_zone)):%As at %H:%M} {rotation.time_zone}"


def shift_rows(rotation: Rotation) -> list[dict[str, Any]]:
    """Who is on call in the next weeks, from now on."""
    now = timezone.now()
    shifts = roster(rotation, list(rotation.overrides.all()), now, now + WEEKS * WEEK)
    return [_shift_row(rotation, since, shift, is_now=since == now) for since, shift in shifts]


def _shift_row(rotation: Rotation, since: datetime, shift: Shift, *, is_now: bool) -> dict[str, Any]:
    channel, override = _channel(rotation, shift), shift.override
    return {
        "name": visible(channel.name),
        "url": reverse("channels:channel", args=[channel.pk]),
        "is_now": is_now,
        "is_off": channel.off_since is not None,
        "since": since,
        "until": shift.until,
        "override": {"pk": override.pk, "reason": visible(override.reason), "by": visible(override.created_by)}
        if override
        else None,
    }


def override_rows(rotation: Rotation) -> list[dict[str, Any]]:
    """Those that are not over, the next first."""
    return [
        {
            "pk": one.pk,
            "name": visible(one.channel.name),
            "since": one.starts_at,
            "until": one.until,
            "reason": visible(one.reason),
            "by": visible(one.created_by),
        }
        for one in rotation.overrides.all()
    ]


def turn_rows(rotation: Rotation) -> list[dict[str, str]]:
    """In their order."""
    names = {str(channel.pk): visible(channel.name) for channel in rotation.channels.all()}
    return [{"name": names[one], "url": reverse("channels:channel", args=[one])} for one in rotation.channel_ids]


def rule_links(rules: list[Rule]) -> list[dict[str, str]]:
    return [{"name": visible(rule.name), "url": reverse("rules:rule", args=[rule.pk])} for rule in rules]


def _channel(rotation: Rotation, shift: Shift) -> Channel:
    if shift.override:
        return shift.override.channel
    return next(channel for channel in rotation.channels.all() if str(channel.pk) == shift.channel_id)

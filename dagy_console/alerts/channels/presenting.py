"""Channels as JSON and on pages: nothing secret of them."""

from typing import Any

from django.urls import reverse

from dagy_console.alerts.kinds import KINDS
from dagy_console.alerts.models import Channel, ChannelType, Recipient
from dagy_console.core.actors import Actor
from dagy_console.core.encryption import NotDecryptable
from dagy_console.core.times import to_rfc3339
from dagy_console.core.visible import visible
from dagy_console.listing.language import Query


def channel_out(channel: Channel, actor: Actor) -> dict[str, Any]:
    return {
        "id": str(channel.pk),
        "org_id": channel.organization_id,
        "name": channel.name,
        "channel_type": channel.channel_type,
        "config": _config(channel),
        "recipients": [_recipient_out(one) for one in _listed(channel)],
        "is_last_resort": channel.is_last_resort,
        "failing_since": to_rfc3339(channel.failing_since) if channel.failing_since else None,
        "off_since": to_rfc3339(channel.off_since) if channel.off_since else None,
        "problem": problem_for(channel, actor),
        "proven_at": to_rfc3339(channel.proven_at) if channel.proven_at else None,
        "created_by": channel.created_by,
        "created_at": to_rfc3339(channel.created_at),
    }


def channel_row(channel: Channel, query: Query | None = None) -> dict[str, Any]:
    return {
        "url": reverse("channels:channel", args=[channel.pk]),
        "pk": channel.pk,
        "name": visible(channel.name),
        "type": channel.channel_type,
        "label": ChannelType(channel.channel_type).label,
        "where": visible(", ".join(_words(value) for name, value in _config(channel).items() if "secret" not in name)),
        "config": {name: visible(_words(value)) for name, value in _config(channel).items()},
        "org_id": channel.organization_id,
        "is_last_resort": channel.is_last_resort,
        "failing_since": channel.failing_since,
        "off_since": channel.off_since,
        "proven_at": channel.proven_at,
        "created_at": channel.created_at,
        "created_by": visible(channel.created_by),
    }


def recipients_of(channel: Channel) -> list[dict[str, Any]]:
    """Of an email channel: each address, and what its owner said."""
    return [
        {"address": visible(one.address), "state": one.state, "at": one.stopped_at or one.confirmed_at or one.asked_at}
        for one in _listed(channel)
    ]


def _listed(channel: Channel) -> list[Recipient]:
    return sorted((one for one in channel.recipients.all() if one.is_listed), key=lambda one: one.address)


def _recipient_out(recipient: Recipient) -> dict[str, Any]:
    times = {name: getattr(recipient, name) for name in ("asked_at", "confirmed_at", "stopped_at")}
    told = {name: to_rfc3339(at) if at else None for name, at in times.items()}
    return {"address": recipient.address, "state": recipient.state} | told


def problem_for(channel: Channel, actor: Actor) -> str | None:
    """What an address answers is the platform's to read: else it would tell members what stands inside."""
    if not channel.problem:
        return None
    return channel.problem if actor.is_platform else channel.problem.partition(":")[0]


def _config(channel: Channel) -> dict[str, Any]:
    try:
        return KINDS[channel.channel_type].masked(channel.config)
    except NotDecryptable:
        return {"problem": "can't be decrypted with the keys of this console"}


def _words(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)

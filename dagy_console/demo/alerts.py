"""The demo's channels and rules, from data/alerts.toml: its traces and runs make them fire."""

from datetime import timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from dagy_console.alerts.channels.services import create_channel
from dagy_console.alerts.models import Channel, ChannelType
from dagy_console.alerts.rotations.services import create_rotation
from dagy_console.alerts.rotations.terms import Terms as RotationTerms
from dagy_console.alerts.rules.services import create_rule
from dagy_console.alerts.rules.terms import Terms
from dagy_console.core.actors import SYSTEM
from dagy_console.demo.data import load


@transaction.atomic
def make_rules(inbox: str) -> int:
    """Of the platform, with who is on call; how many. None where there are channels already. `inbox` is the address of
    what stands in for Slack and the others; without one there are mails alone."""
    if Channel.objects.exists():
        return 0
    data = load("alerts")
    channels = {
        channel["name"]: create_channel(actor=SYSTEM, org_id="", **_in(channel, inbox)).pk
        for channel in data["channel"]
        if _leads_to(channel["channel_type"], inbox)
    }
    rotations = {
        rotation["name"]: _rotation(rotation, [channels[name] for name in rotation["turns"] if name in channels])
        for rotation in data["rotation"]
    }
    for rule in data["rule"]:
        told = [channels[name] for name in rule.pop("channels") if name in channels]
        on_call = [rotations[name] for name in rule.pop("rotations", [])]
        create_rule(actor=SYSTEM, org_id="", terms=Terms(**rule, channel_ids=told, rotation_ids=on_call))
    return len(data["rule"])


def _rotation(told: dict[str, Any], turns: list[UUID]) -> UUID:
    """Its first turn began last Monday morning."""
    there = timezone.now().astimezone(ZoneInfo(told["time_zone"])).replace(hour=9, minute=0, second=0, microsecond=0)
    starts_at = there - timedelta(days=7 + there.weekday())
    terms = RotationTerms(told["name"], turns, told["time_zone"], starts_at)
    return create_rotation(actor=SYSTEM, org_id="", terms=terms).pk


def _leads_to(channel_type: str, inbox: str) -> bool:
    """Whoever set Slack's own address gets no demo there."""
    if channel_type == ChannelType.EMAIL:
        return True
    elsewhere = {ChannelType.SLACK: settings.SLACK_URL, ChannelType.PAGERDUTY: settings.PAGERDUTY_URL}
    return bool(inbox) and elsewhere.get(ChannelType(channel_type), inbox) == inbox


def _in(channel: dict[str, Any], inbox: str) -> dict[str, Any]:
    config = {
        name: value.replace("{inbox}", inbox) if isinstance(value, str) else value
        for name, value in channel["config"].items()
    }
    return channel | {"config": config}

"""The demo's channels and rules, from data/alerts.toml: its traces and runs make them fire."""

from typing import Any

from django.conf import settings
from django.db import transaction

from dagy_console.alerts.channels.services import create_channel
from dagy_console.alerts.models import Channel, ChannelType
from dagy_console.alerts.rules.services import create_rule
from dagy_console.alerts.rules.terms import Terms
from dagy_console.core.actors import SYSTEM
from dagy_console.demo.data import load


@transaction.atomic
def make_rules(inbox: str) -> int:
    """Of the platform; how many. None where there are channels already. `inbox` is the address of what stands in for
    Slack and the others; without one there are mails alone."""
    if Channel.objects.exists():
        return 0
    data = load("alerts")
    channels = {
        channel["name"]: create_channel(actor=SYSTEM, org_id="", **_in(channel, inbox)).pk
        for channel in data["channel"]
        if _leads_to(channel["channel_type"], inbox)
    }
    for rule in data["rule"]:
        told = [channels[name] for name in rule.pop("channels") if name in channels]
        create_rule(actor=SYSTEM, org_id="", terms=Terms(**rule, channel_ids=told))
    return len(data["rule"])


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

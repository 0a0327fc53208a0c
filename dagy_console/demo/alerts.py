"""The demo's channel and rules, from data/alerts.toml: its traces and runs make them fire."""

from django.db import transaction

from dagy_console.alerts.channels.services import create_channel
from dagy_console.alerts.models import Rule
from dagy_console.alerts.rules.services import create_rule
from dagy_console.alerts.rules.terms import Terms
from dagy_console.core.actors import SYSTEM
from dagy_console.demo.data import load


@transaction.atomic
def make_rules() -> int:
    """Of the platform; how many. None where there are rules already."""
    if Rule.objects.exists():
        return 0
    data = load("alerts")
    channels = [create_channel(actor=SYSTEM, org_id="", **channel).pk for channel in data["channel"]]
    for rule in data["rule"]:
        create_rule(actor=SYSTEM, org_id="", terms=Terms(**rule, channel_ids=channels))
    return len(data["rule"])

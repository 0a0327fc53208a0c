"""Addresses that got mails before there was a question are not asked now: an alert would wait for the answer."""

import json
from typing import Any

from django.db import migrations
from django.utils import timezone

from dagy_console.core.encryption import NotDecryptable, decrypt


def confirm_those_of_today(apps: Any, schema_editor: Any) -> None:
    recipient = apps.get_model("alerts", "Recipient")
    for channel in apps.get_model("alerts", "Channel").objects.filter(channel_type="email"):
        try:
            addresses = json.loads(decrypt(channel.encrypted))["to"]
        except NotDecryptable:
            continue
        for address in addresses:
            recipient.objects.create(channel=channel, address=address, confirmed_at=timezone.now())


class Migration(migrations.Migration):
    dependencies = [
        ("alerts", "0012_recipients"),
    ]

    operations = [migrations.RunPython(confirm_those_of_today, migrations.RunPython.noop)]

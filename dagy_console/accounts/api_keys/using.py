"""That an API key was used: on record once a minute, so that not each request is a write."""

import uuid
from datetime import timedelta

from django.db.models import Q
from django.db.models.functions import Now

from dagy_console.accounts.models import ApiKey
from dagy_console.core.actors import Origin

# What an actor by key is told apart by: "api_key:<id>".
API_KEY_LABEL = "api_key"


def note_use(key_id: uuid.UUID, origin: Origin) -> None:
    """Of all that use it at once, one writes."""
    due = Q(last_used_at=None) | Q(last_used_at__lt=Now() - timedelta(minutes=1))
    ApiKey.objects.filter(due, pk=key_id).update(last_used_at=Now(), last_used_ip=origin.ip)

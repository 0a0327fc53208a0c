"""Settings that start but would hurt: `manage.py check` (and every start) says so."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register


@register()
def check_settings(app_configs: Any, **_: Any) -> list[CheckMessage]:
    found: list[CheckMessage] = []
    if len(settings.SECRET_KEY) < 40:
        found.append(Error("DAGY_SECRET_KEY is shorter than 40 characters: make a longer random one.", id="dagy.E001"))
    if not settings.TRACES_BUCKET:
        found.append(Warning("DAGY_TRACES_BUCKET is not set: exceptions are logged and not stored.", id="dagy.W001"))
    return found

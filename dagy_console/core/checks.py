"""Settings that start but would hurt: `manage.py check` (and every start) says so."""

from typing import Any

import psycopg
from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register

from dagy_console.core import outbound, roles

LEAST_TOKEN = 16


@register()
def check_settings(app_configs: Any, **_: Any) -> list[CheckMessage]:
    found: list[CheckMessage] = []
    if len(settings.SECRET_KEY) < 40:
        found.append(Error("DAGY_SECRET_KEY is shorter than 40 characters: make a longer random one.", id="dagy.E001"))
    if settings.METRICS_TOKEN and len(settings.METRICS_TOKEN) < LEAST_TOKEN:
        shorter = f"DAGY_METRICS_TOKEN is shorter than {LEAST_TOKEN} characters: make a longer random one."
        found.append(Error(shorter, id="dagy.E002"))
    if settings.PING_URL:
        found += _of_ping_url()
    if not settings.TRACES_BUCKET:
        found.append(Warning("DAGY_TRACES_BUCKET is not set: exceptions are logged and not stored.", id="dagy.W001"))
    return found


def _of_ping_url() -> list[CheckMessage]:
    try:
        outbound.check_url(settings.PING_URL)
    except outbound.Forbidden as error:
        return [Error(f"DAGY_PING_URL: {error}", id="dagy.E003")]
    return []


@register()
def check_roles(app_configs: Any, **_: Any) -> list[CheckMessage]:
    """Says nothing while the database does not answer, or has no tables yet."""
    try:
        owns = roles.owns_the_record()
    except psycopg.Error:
        return []
    message = (
        "The role of DATABASE_URL owns the audit log, which its triggers alone protect now: give the owner to "
        "`manage.py migrate` by DATABASE_OWNER_URL, and a role of its own to DATABASE_URL."
    )
    return [Warning(message, id="dagy.W002")] if owns else []

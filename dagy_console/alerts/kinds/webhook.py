"""Webhooks, signed after the Standard Webhooks specification, by its own library."""

import base64
import json
import secrets
from typing import Any

from django.utils import timezone
from standardwebhooks import Webhook

from dagy_console.alerts.kinds.sending import Sending, only, posted, url_of
from dagy_console.alerts.kinds.sending import masked as mask
from dagy_console.alerts.messages import Message
from dagy_console.core.errors import Invalid

PREFIX, LEAST_BYTES, MOST_BYTES = "whsec_", 24, 64
# The specification's own limit is 20 KB.
LONGEST_TEXT = 10_000


def new_secret() -> str:
    return PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def checked(config: dict[str, Any]) -> dict[str, Any]:
    only(config, "url", "secret", "previous_secret")
    given = {name: _secret(config, name) for name in ("secret", "previous_secret") if config.get(name)}
    return {"url": url_of(config, "url"), "secret": new_secret()} | given


def _secret(config: dict[str, Any], name: str) -> str:
    secret = config[name]
    try:
        key = base64.b64decode(str(secret).removeprefix(PREFIX), validate=True)
    except ValueError:
        key = b""
    if not str(secret).startswith(PREFIX) or not LEAST_BYTES <= len(key) <= MOST_BYTES:
        raise Invalid.field(
            f"config.{name}",
            f"must be {PREFIX} and {LEAST_BYTES} to {MOST_BYTES} bytes in base64; left out, one is made",
        )
    return str(secret)


def masked(config: dict[str, Any]) -> dict[str, Any]:
    return {name: mask(value) if "secret" in name else value for name, value in config.items()}


def send(config: dict[str, Any], message: Message, *, key: str) -> Sending:
    told = message.described() | {"text": message.text[:LONGEST_TEXT]}
    body = json.dumps({"type": f"alert.{message.event}", "timestamp": message.at, "data": told}, ensure_ascii=False)
    # Of this attempt: a receiver refuses what is old.
    now = timezone.now()
    signed = [Webhook(config[name]).sign(key, now, body) for name in ("secret", "previous_secret") if config.get(name)]
    headers = {
        "Content-Type": "application/json",
        "webhook-id": key,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": " ".join(signed),
    }
    return posted(config["url"], body.encode(), headers)

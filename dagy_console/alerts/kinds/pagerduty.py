"""PagerDuty's Events API v2: trigger, acknowledge and resolve under one `dedup_key`.

Its client library sleeps and tries again by itself; the outbox needs each answer as it comes, by the guarded way.
"""

import json
import re
from typing import Any

from django.conf import settings

from dagy_console.alerts.kinds.sending import Sending, only, posted, text_of
from dagy_console.alerts.kinds.sending import masked as mask
from dagy_console.alerts.messages import Event, Message
from dagy_console.core.errors import Invalid

LONGEST_SUMMARY, LONGEST_KEY, LONGEST_TEXT = 1_024, 255, 100_000
ACTIONS = {Event.TRIGGERED: "trigger", Event.ACKNOWLEDGED: "acknowledge", Event.RESOLVED: "resolve"}


def checked(config: dict[str, Any]) -> dict[str, Any]:
    only(config, "routing_key")
    key = text_of(config, "routing_key")
    if not re.fullmatch(r"[A-Za-z0-9]{32}", key):
        raise Invalid.field("config.routing_key", "must be the 32 letters and digits of an Events API v2 integration")
    return {"routing_key": key}


def masked(config: dict[str, Any]) -> dict[str, Any]:
    return {"routing_key": mask(config["routing_key"])}


def send(config: dict[str, Any], message: Message, *, key: str) -> Sending:
    """A test, and what is over already, opens an alert and resolves it at once: it is there to be read, and wakes
    nobody for long."""
    if message.event in ACTIONS:
        return _enqueue(config, message, ACTIONS[message.event])
    opened = _enqueue(config, message, "trigger")
    return _enqueue(config, message, "resolve") if opened.taken else opened


def _enqueue(config: dict[str, Any], message: Message, action: str) -> Sending:
    event: dict[str, Any] = {
        "routing_key": config["routing_key"],
        "event_action": action,
        "dedup_key": message.subject[:LONGEST_KEY],
    }
    if action == "trigger":
        event["payload"] = {
            "summary": message.title[:LONGEST_SUMMARY],
            "source": "dagy-console",
            "severity": str(message.severity),
            "timestamp": message.at,
            "group": message.org_id or "platform",
            "custom_details": {**message.facts, "text": message.text[:LONGEST_TEXT]},
        }
        event |= {"client": "Dagy Console", "client_url": message.link} if message.link else {}
        event |= {"links": [{"href": message.act_link, "text": "Acknowledge or silence"}]} if message.act_link else {}
    url = f"{settings.PAGERDUTY_URL}/v2/enqueue"
    return posted(url, json.dumps(event).encode(), {"Content-Type": "application/json"})

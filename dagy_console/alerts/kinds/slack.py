"""Slack's incoming webhooks. slack-sdk builds the blocks and knows their limits; the way there is the guarded one."""

import json
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from slack_sdk.models.blocks import (
    ActionsBlock,
    Block,
    ContextBlock,
    HeaderBlock,
    LinkButtonElement,
    MarkdownTextObject,
    SectionBlock,
)

from dagy_console.alerts.kinds.sending import Sending, only, posted, url_of
from dagy_console.alerts.kinds.sending import masked as mask
from dagy_console.alerts.messages import Event, Message
from dagy_console.core.errors import Invalid

# Slack's own limits are 150 and 3,000; of all blocks together it takes some 13,000.
HEADER, SECTION, CONTEXT = 150, 2_900, 1_900
MARKS = {Event.TRIGGERED: "🔴", Event.ACKNOWLEDGED: "🟡", Event.RESOLVED: "🟢", Event.MISSED: "⚪", Event.TEST: "🔔"}


def checked(config: dict[str, Any]) -> dict[str, Any]:
    only(config, "webhook_url")
    url = url_of(config, "webhook_url")
    if not url.startswith(f"{settings.SLACK_URL}/"):
        raise Invalid.field("config.webhook_url", f"must begin with {settings.SLACK_URL}/")
    return {"webhook_url": url}


def masked(config: dict[str, Any]) -> dict[str, Any]:
    return {"webhook_url": f"{settings.SLACK_URL}/{mask(urlsplit(config['webhook_url']).path)}"}


def send(config: dict[str, Any], message: Message, *, key: str) -> Sending:
    body = {
        "text": _cut(_escaped(f"{message.title}: {message.text}"), SECTION),
        "blocks": [block.to_dict() for block in _blocks(message)],
    }
    return posted(config["webhook_url"], json.dumps(body).encode(), {"Content-Type": "application/json"})


def _blocks(message: Message) -> list[Block]:
    facts = " · ".join(f"{name} *{value}*" for name, value in message.facts.items())
    mark = MARKS[message.event]
    blocks: list[Block] = [
        HeaderBlock(text=f"{mark} {message.title}"[: HEADER - 1]),
        SectionBlock(text=MarkdownTextObject(text=_cut(_escaped(message.text), SECTION) or "–")),
    ]
    said = f"{message.severity} · {message.event} · {message.at}" + (f" · {facts}" if facts else "")
    blocks.append(ContextBlock(elements=[MarkdownTextObject(text=_cut(_escaped(said), CONTEXT))]))
    buttons = [
        LinkButtonElement(text=text, url=url)
        for text, url in (("Acknowledge or silence", message.act_link), ("Open in Dagy Console", message.link))
        if url
    ]
    if buttons:
        blocks.append(ActionsBlock(elements=buttons))
    return blocks


def _escaped(text: str) -> str:
    """An exception's message can call nobody, and forge no link."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[: limit - 1]}…"

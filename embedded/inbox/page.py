"""The inbox as a page: what was received, newest first."""

from __future__ import annotations

import email
import email.policy
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from html import escape
from pathlib import Path
from typing import Any, Protocol

CSS = (Path(__file__).parent / "inbox.css").read_bytes()
_LABELS = {"slack": "Slack", "pagerduty": "PagerDuty", "webhook": "Webhook", "email": "Email"}
_ORDERS = (
    ("500, three times", 500, 3),
    ("429, then 20 s of rest", 429, 1),
    ("a cut connection", 0, 1),
    ("404", 404, 1),
)


class Got(Protocol):
    """What a receiver keeps of one message."""

    kind: str
    headers: dict[str, str]
    body: bytes
    status: int
    at: datetime


@dataclass(frozen=True)
class _Shown:
    title: str
    text: str = ""
    facts: tuple[tuple[str, str], ...] = ()
    link: str = ""


def draw(received: Iterable[Got], orders: int) -> str:
    """The whole page, in HTML."""
    cards = "".join(_card(one) for one in received)
    nothing = "<p>Nothing yet. Send a test by a channel of the console, or wait for a rule to fire.</p>"
    buttons = "".join(
        f'<form method="post" action="/orders"><input type="hidden" name="status" value="{status}">'
        f'<input type="hidden" name="times" value="{times}"><button>{label}</button></form>'
        for label, status, times in _ORDERS
    )
    ordered = f"<p>Ordered for the next {orders}.</p>" if orders else ""
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        '<meta http-equiv="refresh" content="5"><title>Inbox of the demo</title>'
        '<link rel="stylesheet" href="/inbox.css"><main><h1>Inbox of the demo</h1>'
        "<p>Stands in for Slack, PagerDuty, a webhook's receiver and a mail server: what the console sends arrives "
        "here, and nothing leaves this machine. It looks again every 5 seconds.</p>"
        f'<section class="orders"><h2>Answer the next message with</h2>{buttons}{ordered}</section>'
        f"{cards or nothing}</main>"
    )


def _card(got: Got) -> str:
    try:
        shown = _SHOWN[got.kind](got.body)
    except (ValueError, KeyError, TypeError, AttributeError):
        shown = _Shown("Not to be read", got.body[:2_000].decode(errors="replace"))
    facts = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in shown.facts)
    link = f'<p><a href="{escape(shown.link)}">Open in the console</a></p>' if shown.link.startswith("http") else ""
    answered = str(got.status) if got.status else "cut"
    raw = escape(f"{_lines(got.headers)}\n\n{got.body[:20_000].decode(errors='replace')}")
    return (
        f'<article><header><b class="kind {got.kind}">{_LABELS[got.kind]}</b>'
        f'<span class="{"good" if 200 <= got.status < 300 else "bad"}">answered {answered}</span>'
        f"<time>{got.at:%H:%M:%S} UTC</time></header><h2>{escape(shown.title)}</h2>"
        f"<pre>{escape(shown.text)}</pre><dl>{facts}</dl>{link}"
        f"<details><summary>As it came</summary><pre>{raw}</pre></details></article>"
    )


def _lines(headers: dict[str, str]) -> str:
    return "\n".join(f"{name}: {value}" for name, value in headers.items())


def _slack(body: bytes) -> _Shown:
    told = json.loads(body)
    texts: dict[str, list[str]] = {}
    link = ""
    for block in told["blocks"]:
        inner = block.get("elements", [block.get("text")])
        texts.setdefault(block["type"], []).extend(_plain(one.get("text", "")) for one in inner if one)
        link = link or next((one["url"] for one in inner if one and one.get("url")), "")
    title = " ".join(texts.get("header", []))
    return _Shown(title, "\n".join([*texts.get("section", []), *texts.get("context", [])]), (), link)


def _plain(text: Any) -> str:
    found = text["text"] if isinstance(text, dict) else text
    return str(found).replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def _pagerduty(body: bytes) -> _Shown:
    event = json.loads(body)
    payload = event.get("payload", {})
    details = dict(payload.get("custom_details", {}))
    text = str(details.pop("text", ""))
    facts = {"action": event["event_action"], "dedup_key": event["dedup_key"], **details}
    if "severity" in payload:
        facts["severity"] = payload["severity"]
    title = payload.get("summary") or f"{event['event_action']} of an event from before"
    return _Shown(title, text, _facts(facts), event.get("client_url", ""))


def _webhook(body: bytes) -> _Shown:
    told = json.loads(body)
    data = told["data"]
    facts = {"type": told["type"], "severity": data["severity"], "subject": data["subject"], **data["facts"]}
    return _Shown(data["title"], data["text"], _facts(facts), data["link"])


def _email(body: bytes) -> _Shown:
    mail = email.message_from_bytes(body, policy=email.policy.default)
    part = mail.get_body(("plain",))
    facts = {name: mail[name] for name in ("From", "To", "Message-ID", "References") if mail[name]}
    return _Shown(str(mail["Subject"]), part.get_content() if part else "", _facts(facts))


def _facts(told: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple((name, str(value)) for name, value in told.items())


_SHOWN = {"slack": _slack, "pagerduty": _pagerduty, "webhook": _webhook, "email": _email}

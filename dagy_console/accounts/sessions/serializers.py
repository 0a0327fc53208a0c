"""Sessions as the API answers them, and as the pages show them."""

import re
from typing import Any

from django.urls import reverse

from dagy_console.core.times import to_rfc3339
from dagy_console.core.visible import visible
from dagy_console.listing.language import Query

# The first that matches: what comes later says that it is like what comes before.
_BROWSERS = {
    "Edge": r"\bEdgA?/",
    "Opera": r"\bOPR/",
    "Firefox": r"\bFirefox/|\bFxiOS/",
    "Chrome": r"\bChrome/|\bCriOS/|\bHeadlessChrome/",
    "Safari": r"\bSafari/",
    "curl": r"\bcurl/",
    "Python": r"\bpython",
}
_SYSTEMS = {
    "Android": "Android",
    "iPhone": "iPhone",
    "iPad": "iPad",
    "Windows": "Windows",
    "macOS": "Mac OS X|Macintosh",
    "ChromeOS": "CrOS",
    "Linux": "Linux|X11",
}


def device(user_agent: str) -> str:
    """What a person calls the device: "Firefox on Linux". The whole claim where it says neither."""
    browser, system = _first(_BROWSERS, user_agent), _first(_SYSTEMS, user_agent)
    if not browser and not system:
        return visible(user_agent[:60]) or "unknown"
    return f"{browser or 'Unknown'} on {system}" if system else browser


def session_out(row: Any) -> dict[str, Any]:
    """One of `sessions.selectors.visible_to`."""
    return {
        "id": row.pk,
        "user": row.email,
        "super_admin": row.super_admin,
        "ip": row.ip,
        "device": device(row.user_agent),
        "user_agent": row.user_agent,
        "signed_in_at": to_rfc3339(row.created_at),
        "last_seen_at": to_rfc3339(row.last_seen_at),
    }


def session_row(row: Any, query: Query | None = None) -> dict[str, Any]:
    return {
        "id": row.pk,
        "email": row.email,
        "super_admin": row.super_admin,
        "ip": row.ip,
        "device": device(row.user_agent),
        "user_agent": visible(row.user_agent),
        "signed_in_at": row.created_at,
        "last_seen_at": row.last_seen_at,
        "key": row.session_key,
        "end_url": reverse("accounts:session-end", args=[row.pk]),
    }


def _first(patterns: dict[str, str], text: str) -> str:
    return next((name for name, pattern in patterns.items() if re.search(pattern, text)), "")

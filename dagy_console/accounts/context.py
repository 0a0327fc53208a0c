"""Who makes this request and from where."""

import hashlib
from typing import Any

from django.http import HttpRequest

from dagy_console.core.actors import Actor, Origin
from dagy_console.core.addresses import client_ip


def origin_of(request: HttpRequest) -> Origin:
    return Origin(
        ip=client_ip(request),
        user_agent=request.headers.get("User-Agent", "").replace("\x00", ""),
        request_id=getattr(request, "request_id", ""),
    )


def session_label(key: str | None) -> str:
    """Tells sessions apart in the audit log without keeping the key, which opens one."""
    return f"session:{hashlib.sha256(key.encode()).hexdigest()[:16]}" if key else ""


def capture_context(request: HttpRequest) -> dict[str, Any]:
    """What dagy.capture cannot know by itself (settings.DAGY_CAPTURE_CONTEXT)."""
    actor: Actor | None = getattr(request, "actor", None)
    match = request.resolver_match
    return {
        "org_id": (actor.org_id or None) if actor else None,
        "request_id": getattr(request, "request_id", None),
        "http_path": "/" + match.route.lstrip("^") if match else request.path,
    }

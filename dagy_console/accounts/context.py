"""Who makes this request and from where."""

import hashlib
from typing import Any

from django.http import HttpRequest
from django.utils import timezone

from dagy_console.accounts.models import AccessToken, User
from dagy_console.accounts.tokens import PREFIX, digest
from dagy_console.core.actors import Actor, ActorKind, Origin
from dagy_console.core.addresses import client_ip
from dagy_console.core.permissions import Role


def actor_of(request: HttpRequest) -> Actor | None:
    """The actor of the bearer token or the session; None where there is none that counts.

    A bearer token that is given decides alone: a wrong one never falls back to the session.
    """
    header = request.headers.get("Authorization", "")
    if header:
        token = _token_of(header)
        if token is None:
            return None
        return actor_for(token.user, origin_of(request), kind=ActorKind.TOKEN, credential=f"access_token:{token.pk}")
    user = request.user
    if not isinstance(user, User) or not user.is_active:
        return None
    return actor_for(user, origin_of(request), credential=session_label(request))


def actor_for(user: User, origin: Origin, *, kind: ActorKind = ActorKind.USER, credential: str = "") -> Actor:
    roles = dict(user.memberships.values_list("organization_id", "role"))
    return Actor(
        kind=kind,
        id=str(user.pk),
        email=user.email,
        super_admin=user.super_admin,
        roles={org: Role(role) for org, role in roles.items()},
        origin=origin,
        credential=credential,
    )


def origin_of(request: HttpRequest) -> Origin:
    return Origin(
        ip=client_ip(request),
        user_agent=request.headers.get("User-Agent", "").replace("\x00", ""),
        request_id=getattr(request, "request_id", ""),
    )


def session_label(request: HttpRequest) -> str:
    """Tells sessions apart in the audit log without keeping the key, which opens one."""
    key = getattr(getattr(request, "session", None), "session_key", None)
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


def _token_of(header: str) -> AccessToken | None:
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer" or not token.startswith(PREFIX):
        return None
    return (
        AccessToken.objects.select_related("user")
        .filter(digest=digest(token), revoked_at=None, expires_at__gt=timezone.now(), user__is_active=True)
        .first()
    )

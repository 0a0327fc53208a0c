"""Making and revoking API keys."""

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from dagy_console.accounts.api_keys import selectors
from dagy_console.accounts.models import ApiKey
from dagy_console.accounts.tokens import digest, new_api_key
from dagy_console.audit.actions import Action
from dagy_console.audit.recorder import record, refuse_impersonator
from dagy_console.core.actors import Actor, ActorKind
from dagy_console.core.errors import Conflict, Invalid, PermissionDenied
from dagy_console.core.forms import is_storable
from dagy_console.core.permissions import Permission
from dagy_console.core.times import to_minute

DEFAULT_DAYS, MOST_DAYS = 90, 365
MAX_NAME = 100
# A client's clock may be ahead of ours, and its "in a year" still be right.
_SLACK = timedelta(hours=1)


class MadeAlready(Conflict):
    title = "The key was made already"


@transaction.atomic
def create_api_key(
    *,
    actor: Actor,
    name: str,
    org_id: str | None,
    scopes: Sequence[str] | None = None,
    expires_at: datetime | None = None,
    key_id: uuid.UUID | None = None,
) -> tuple[ApiKey, str]:
    """A key of the actor's in `org_id` (None: the platform's), and its token, which is kept nowhere.

    `scopes` None: all that the actor may do there, whatever that will be. `key_id` makes a form count once.
    Raises PermissionDenied, NotWhileImpersonating, Invalid (which names the scopes that the actor lacks), MadeAlready.
    """
    _require_write(actor, org_id)
    refuse_impersonator(Action.API_KEY_CREATED, actor)
    if org_id is not None and org_id not in actor.roles:
        raise Invalid.field("org_id", f"you are no member of {org_id}; a key of the platform has no org_id")
    token = new_api_key()
    key, is_new = ApiKey.objects.get_or_create(
        pk=key_id or uuid.uuid4(),
        defaults={
            "name": _checked_name(name),
            "organization_id": org_id,
            "created_by_id": int(actor.id),
            "scopes": _checked_scopes(actor, org_id, scopes),
            "digest": digest(token),
            "start": token[:12],
            "last_four": token[-4:],
            "expires_at": _checked_end(actor, expires_at),
        },
    )
    if not is_new:
        raise MadeAlready("This form has made its key already, and a key is shown once. Revoke it if it is lost.")
    _record(Action.API_KEY_CREATED, key, actor=actor)
    return key, token


@transaction.atomic
def revoke_api_key(*, actor: Actor, key_id: uuid.UUID) -> ApiKey:
    """End the key now. Revoking twice is no error and is recorded once.

    Raises PermissionDenied, NotWhileImpersonating, NotFound.
    """
    key = selectors.key_to_revoke(actor, key_id)
    refuse_impersonator(Action.API_KEY_REVOKED, actor)
    before = key.snapshot()
    if ApiKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=timezone.now()):
        key.refresh_from_db()
        _record(Action.API_KEY_REVOKED, key, actor=actor, before=before)
    return key


def _require_write(actor: Actor, org_id: str | None) -> None:
    """Keys of the platform are the staff's alone."""
    if org_id is not None:
        actor.require(Permission.API_KEYS_WRITE, org_id=org_id)
        return
    if not (actor.super_admin and actor.can_somewhere(Permission.API_KEYS_WRITE)):
        raise PermissionDenied(Permission.API_KEYS_WRITE)


def _checked_name(name: str) -> str:
    name = " ".join(name.split())
    if not name or len(name) > MAX_NAME or not is_storable(name):
        raise Invalid.field("name", f"give a name of 1 to {MAX_NAME} characters")
    return name


def _checked_scopes(actor: Actor, org_id: str | None, scopes: Sequence[str] | None) -> list[str] | None:
    """None stays None, but where the actor itself is limited: then it is what the actor is limited to."""
    if scopes is None:
        return None if actor.scopes is None else sorted(selectors.grantable(actor, org_id))
    wanted = sorted(set(scopes))
    if not wanted:
        raise Invalid.field("scopes", "name at least one permission, or leave scopes out for all of yours")
    unknown = [scope for scope in wanted if scope not in {*Permission}]
    if unknown:
        raise Invalid.field("scopes", f"there is no permission {', '.join(scope[:100] for scope in unknown[:10])}")
    lacking = [scope for scope in wanted if scope not in selectors.grantable(actor, org_id)]
    if lacking:
        where = f" in {org_id}" if org_id else ""
        raise Invalid.field("scopes", f"you do not have {', '.join(lacking)}{where}: a key can't do more than you")
    return wanted


def _checked_end(actor: Actor, expires_at: datetime | None) -> datetime:
    now = timezone.now()
    latest = now + timedelta(days=MOST_DAYS)
    if actor.kind is ActorKind.API_KEY:
        # Else whoever finds a key of one day makes one of a year of it.
        own = ApiKey.objects.only("expires_at").get(pk=actor.credential.partition(":")[2]).expires_at
        latest = min(latest, own)
    if expires_at is None:
        return min(latest, now + timedelta(days=DEFAULT_DAYS))
    if expires_at <= now:
        raise Invalid.field("expires_at", "lies in the past")
    if expires_at > latest + _SLACK:
        raise Invalid.field("expires_at", f"a key you make lasts until {to_minute(latest)} at most")
    return min(expires_at, latest)


def _record(action: Action, key: ApiKey, *, actor: Actor, before: Mapping[str, Any] | None = None) -> None:
    record(
        action,
        actor=actor,
        resource_type="api_key",
        resource_id=str(key.pk),
        resource_name=f"{key.name} …{key.last_four}",
        org_id=key.organization_id or "",
        before=before,
        after=key.snapshot(),
    )

"""From what a request brings to the actor it stands for: one table, and one query for each.

The query reads the credential together with its person, their memberships, what of these is suspended, and whom they
impersonate. What was revoked, suspended or has expired is so at the very next request: nothing of it is kept elsewhere.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.base import SessionBase
from django.utils import timezone
from django.utils.crypto import constant_time_compare

from dagy_console.accounts import jwt
from dagy_console.accounts.api_keys.using import API_KEY_LABEL, note_use
from dagy_console.accounts.models import User
from dagy_console.accounts.tokens import ACCESS_TOKEN, API_KEY, IMPERSONATION, digest, is_api_key
from dagy_console.core.actors import Actor, ActorKind, Impersonator, Origin
from dagy_console.core.forms import is_storable
from dagy_console.core.http import bearer_token
from dagy_console.core.permissions import Permission, Role

# How a JSON object begins in base64, and with it every JWT; and what tells such an actor's credential apart.
JWT = "eyJ"
JWT_LABEL = "jwt"
# In a browser's session: the id of the impersonation that it is in.
IMPERSONATING = "impersonation"

_HELD = """(
    SELECT json_object_agg(m.organization_id, json_build_array(m.role, s.id IS NOT NULL))
    FROM accounts_membership m
    LEFT JOIN accounts_suspension s ON s.organization_id = m.organization_id
        AND s.lifted_at IS NULL AND (s.until IS NULL OR s.until > statement_timestamp())
    WHERE m.user_id = {whom}
)::text AS held"""
# Recovery codes alone are none.
_FACTOR = """EXISTS (
    SELECT FROM mfa_authenticator f WHERE f.user_id = u.id AND f.type IN ('totp', 'webauthn')
) AS second_factor"""
_UNDER_WAY = """i.ended_at IS NULL AND i.expires_at > statement_timestamp()
    AND t.is_active AND NOT t.super_admin AND u.super_admin"""
_AS_WHOM = """i.id AS impersonation_id, i.expires_at AS impersonation_ends, i.read_only AS impersonation_read_only,
    t.id AS target_id, t.email AS target_email"""


def _person(columns: str, joins: str, where: str, params: Mapping[str, Any], *, whom: str = "u.id") -> Any | None:
    """The one active user (`u`) whom the condition finds, with `held` and the columns that the joins add."""
    wanted = ", ".join(filter(None, ["u.*", columns, _FACTOR, _HELD.format(whom=whom)]))
    query = f"SELECT {wanted} FROM accounts_user u {joins} WHERE u.is_active AND {where}"
    return next(iter(User.objects.raw(query, params)), None)


def _memberships(held: str | None) -> dict[str, Any]:
    """`roles` and `suspended` of an actor."""
    found: dict[str, tuple[str, bool]] = json.loads(held or "{}")
    return {
        "roles": {org: Role(role) for org, (role, suspended) in found.items() if not suspended},
        "suspended": frozenset(org for org, (_, suspended) in found.items() if suspended),
    }


def _actor(person: Any, origin: Origin, **fields: Any) -> Actor:
    names = ("email", "super_admin", "second_factor")
    own = {"id": str(person.pk), **{name: getattr(person, name) for name in names}}
    return Actor(**{"kind": ActorKind.TOKEN, "origin": origin, **own, **_memberships(person.held), **fields})


def _impersonating(person: Any, origin: Origin, **fields: Any) -> Actor:
    """The target's actor, with who acts as them. The target's `held` was read, not the super admin's."""
    by = Impersonator(
        id=str(person.pk),
        email=person.email,
        expires_at=person.impersonation_ends,
        read_only=person.impersonation_read_only,
        impersonation=str(person.impersonation_id),
    )
    target = {"id": str(person.target_id), "email": person.target_email, "super_admin": False}
    return _actor(person, origin, impersonator=by, **target, **fields)


def actor_for(user: User, origin: Origin, *, kind: ActorKind = ActorKind.USER, credential: str = "") -> Actor:
    """The actor of a user who has just proved who they are."""
    person = _person("", "", "u.id = %(user)s", {"user": user.pk})
    if person is None:
        return Actor(kind=kind, id=str(user.pk), email=user.email, origin=origin, credential=credential)
    return _actor(person, origin, kind=kind, credential=credential)


# --- Tokens -----------------------------------------------------------------------------------------------------------


def _access_token(token: str, origin: Origin) -> Actor | None:
    joins = "JOIN accounts_accesstoken c ON c.user_id = u.id"
    where = "c.digest = %(digest)s AND c.revoked_at IS NULL AND c.expires_at > statement_timestamp()"
    person = _person("c.id AS credential_id", joins, where, {"digest": digest(token)})
    return _actor(person, origin, credential=f"access_token:{person.credential_id}") if person else None


def _impersonation_token(token: str, origin: Origin) -> Actor | None:
    joins = "JOIN accounts_impersonation i ON i.impersonator_id = u.id JOIN accounts_user t ON t.id = i.user_id"
    person = _person(_AS_WHOM, joins, f"i.digest = %(digest)s AND {_UNDER_WAY}", {"digest": digest(token)}, whom="t.id")
    if person is None:
        return None
    actor = _impersonating(person, origin, credential=f"impersonation:{person.impersonation_id}")
    return None if actor.is_locked_out else actor


def _api_key(token: str, origin: Origin) -> Actor | None:
    """Its creator as they are in its organization now, narrowed to its scopes; of no organization, a super admin."""
    if not is_api_key(token):
        return None
    columns = """c.id AS credential_id, c.organization_id AS key_org, c.scopes AS key_scopes,
        c.last_used_at IS NULL OR c.last_used_at < statement_timestamp() - interval '1 minute' AS use_is_news"""
    joins = "JOIN accounts_apikey c ON c.created_by_id = u.id"
    where = """c.digest = %(digest)s AND c.revoked_at IS NULL AND c.expires_at > statement_timestamp()
        AND (c.organization_id IS NOT NULL OR u.super_admin)"""
    person = _person(columns, joins, where, {"digest": digest(token)})
    if person is None:
        return None
    fields: dict[str, Any] = {"kind": ActorKind.API_KEY, "credential": f"{API_KEY_LABEL}:{person.credential_id}"}
    if person.key_scopes is not None:
        # A permission that there is no more holds nothing.
        fields["scopes"] = frozenset(map(Permission, {*person.key_scopes} & {*Permission}))
    if person.key_org is not None:
        held = {org: held for org, held in json.loads(person.held or "{}").items() if org == person.key_org}
        if not held:
            return None
        fields |= {"super_admin": False, **_memberships(json.dumps(held))}
    if person.use_is_news:
        note_use(person.credential_id, origin)
    return _actor(person, origin, **fields)


def _of_another_issuer(token: str, origin: Origin) -> Actor | None:
    """Whom the issuer says it is, where an active user has that address. Raises Unavailable."""
    told = jwt.claims(token)
    if told is None or not is_storable(told["email"]):
        return None
    person = _person("", "", "u.email = %(email)s", {"email": told["email"].strip().lower()})
    return _actor(person, origin, credential=f"{JWT_LABEL}:{digest(token)[:16]}") if person else None


Resolver = Callable[[str, Origin], Actor | None]
RESOLVERS: dict[str, Resolver] = {
    ACCESS_TOKEN: _access_token,
    API_KEY: _api_key,
    IMPERSONATION: _impersonation_token,
    JWT: _of_another_issuer,
}


def bearer(header: str, origin: Origin) -> Actor | None:
    """The actor of an Authorization header; None where it holds nothing that counts."""
    token = bearer_token(header)
    resolve = next((found for prefix, found in RESOLVERS.items() if token.startswith(prefix)), None)
    return resolve(token, origin) if resolve else None


# --- A browser's session ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A session that counts. `user` is who signed in, also while the actor is whom they impersonate.

    `seen_at` is its last use as it is on record (None: not at all yet). `left` is true where the session was in an
    impersonation that has ended meanwhile.
    """

    user: User
    actor: Actor
    seen_at: datetime | None
    left: bool = False


def session(data: SessionBase, origin: Origin, *, label: str) -> SignedIn | None:
    """Who is signed in by this session; None where nobody is, or where it was out of use, or in use, for too long."""
    user_id = data.get(SESSION_KEY)
    if user_id is None or data.get(BACKEND_SESSION_KEY) not in settings.AUTHENTICATION_BACKENDS:
        return None
    joins = f"""LEFT JOIN usersessions_usersession c ON c.session_key = %(key)s
        LEFT JOIN (accounts_impersonation i JOIN accounts_user t ON t.id = i.user_id)
        ON i.id = %(impersonation)s AND i.impersonator_id = u.id AND {_UNDER_WAY}"""
    columns = f"c.created_at AS signed_in_at, c.last_seen_at AS seen_at, {_AS_WHOM}"
    params = {"user": user_id, "key": data.session_key, "impersonation": data.get(IMPERSONATING)}
    person = _person(columns, joins, "u.id = %(user)s", params, whom="coalesce(t.id, u.id)")
    if person is None or not _is_of_its_password(person, data) or _is_over(person):
        return None
    own: dict[str, Any] = {"kind": ActorKind.USER, "credential": label}
    acting = _impersonating(person, origin, **own) if person.target_id else None
    if acting is None or acting.is_locked_out:
        actor = actor_for(person, origin, **own) if acting else _actor(person, origin, **own)
        return SignedIn(person, actor, person.seen_at, left=IMPERSONATING in data)
    return SignedIn(person, acting, person.seen_at)


def _is_of_its_password(user: User, data: SessionBase) -> bool:
    """Whether the password is that with which the session began; a replaced one ends all sessions."""
    kept = data.get(HASH_SESSION_KEY, "")
    hashes = (user.get_session_auth_hash(), *user.get_session_auth_fallback_hash())
    return any(constant_time_compare(kept, known) for known in hashes)


def _is_over(person: Any) -> bool:
    if person.seen_at is None:
        return False
    now = timezone.now()
    idle, lifetime = timedelta(seconds=settings.SESSION_IDLE_SECONDS), timedelta(seconds=settings.SESSION_COOKIE_AGE)
    return bool(now - person.seen_at > idle or now - person.signed_in_at > lifetime)

"""`/auth/login`, `/auth/logout`, `/me`."""

from typing import Any
from uuid import UUID

from allauth.account.adapter import get_adapter
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from ninja import Field, Schema, Status

from dagy_console.accounts.context import origin_of
from dagy_console.accounts.credentials import actor_for
from dagy_console.accounts.impersonation import services as impersonations
from dagy_console.accounts.models import User
from dagy_console.accounts.second_factor import TooManyAttempts, require_code
from dagy_console.accounts.services import tokens
from dagy_console.accounts.suspended import Suspended
from dagy_console.core.actors import ActorKind
from dagy_console.core.api import BODY_PROBLEMS, PROBLEMS, ApiRequest, BodyIn, StrictRouter, Text, problems
from dagy_console.core.errors import Conflict, NotAuthenticated
from dagy_console.core.times import to_rfc3339

router = StrictRouter(tags=["accounts"])


class LoginIn(BodyIn):
    email: Text = Field(max_length=254)
    password: Text = Field(max_length=1000)
    otp: Text | None = Field(None, max_length=100, description="A code of the authenticator app, or a recovery code.")


class LoginOut(Schema):
    access_token: str
    token_type: str = "Bearer"
    expires_at: str


class MembershipOut(Schema):
    org_id: str
    role: str


class ImpersonatorOut(Schema):
    email: str
    expires_at: str
    read_only: bool


class MeOut(Schema):
    id: str
    email: str
    super_admin: bool
    memberships: list[MembershipOut]
    permissions: list[str]
    impersonator: ImpersonatorOut | None


@router.post("/auth/login", auth=None, response={200: LoginOut, **BODY_PROBLEMS, **problems(429)})
def login(request: HttpRequest, body: LoginIn) -> LoginOut:
    """Trade email, password and, where a second factor is set up, a code for an access token.

    Unknown email and wrong password answer the same.
    """
    adapter = get_adapter(request)
    try:
        user = adapter.authenticate(request, email=body.email, password=body.password)
    except ValidationError:
        wait = adapter.seconds_to_wait(request, email=body.email)
        raise TooManyAttempts(f"Too many failed sign-ins. Try again in {wait} s.", retry_after=wait) from None
    if not isinstance(user, User):
        raise NotAuthenticated("The email or the password is wrong.")
    require_code(user, body.otp)
    actor = actor_for(user, origin_of(request))
    if actor.is_locked_out:
        raise Suspended.of(actor)
    token, expires_at = tokens.create_access_token(actor=actor, user=user)
    return LoginOut(access_token=token, expires_at=to_rfc3339(expires_at))


@router.post("/auth/logout", response={204: None, **PROBLEMS, **problems(409)})
def logout(request: ApiRequest) -> Status[None]:
    """End the access token that this request came with."""
    by = request.actor.impersonator
    if by and request.actor.kind is ActorKind.TOKEN:
        impersonations.end(actor=request.actor, impersonation_id=UUID(by.impersonation))
        return Status(204, None)
    kind, _, token_id = request.actor.credential.partition(":")
    if kind != "access_token":
        raise Conflict(
            "This ends an access token. A browser signs out on its page; a key is revoked; others' tokens expire."
        )
    tokens.revoke_access_token(actor=request.actor, token_id=int(token_id))
    return Status(204, None)


@router.get("/me", response={200: MeOut, **PROBLEMS})
def me(request: ApiRequest) -> dict[str, Any]:
    """Who you are and what you may do."""
    actor, by = request.actor, request.actor.impersonator
    return {
        "id": actor.id,
        "email": actor.email,
        "super_admin": actor.super_admin,
        "memberships": [{"org_id": org, "role": role} for org, role in sorted(actor.roles.items())],
        "permissions": sorted(actor.permissions()),
        "impersonator": by and {"email": by.email, "expires_at": to_rfc3339(by.expires_at), "read_only": by.read_only},
    }


@router.get("/users/me", response={200: MeOut, **PROBLEMS})
def users_me(request: ApiRequest) -> dict[str, Any]:
    """The same as `/me`."""
    return me(request)

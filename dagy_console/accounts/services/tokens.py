"""Access tokens: made by `POST /auth/login`, ended by `POST /auth/logout`."""

from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from dagy_console.accounts.models import AccessToken, User
from dagy_console.accounts.tokens import ACCESS_TOKEN, digest, new_token
from dagy_console.audit.actions import Action
from dagy_console.audit.recorder import record_for_each_organization
from dagy_console.core.actors import Actor


@transaction.atomic
def create_access_token(*, actor: Actor, user: User) -> tuple[str, datetime]:
    """A token that acts as `user`, and when it ends. The token is returned once and kept nowhere."""
    token = new_token(ACCESS_TOKEN)
    expires_at = timezone.now() + timedelta(seconds=settings.ACCESS_TOKEN_TTL_SECONDS)
    row = AccessToken.objects.create(digest=digest(token), user=user, expires_at=expires_at)
    record_for_each_organization(
        Action.TOKEN_CREATED,
        actor=actor,
        resource_type="access_token",
        resource_id=str(row.pk),
        resource_name=user.email,
        after=row.snapshot(),
    )
    return token, expires_at


@transaction.atomic
def revoke_access_token(*, actor: Actor, token_id: int) -> None:
    """End the token now. Revoking twice is no error and is recorded once."""
    row = AccessToken.objects.select_related("user").get(pk=token_id)
    if not AccessToken.objects.filter(pk=token_id, revoked_at=None).update(revoked_at=timezone.now()):
        return
    record_for_each_organization(
        Action.TOKEN_REVOKED,
        actor=actor,
        resource_type="access_token",
        resource_id=str(row.pk),
        resource_name=row.user.email,
        before=row.snapshot(),
    )

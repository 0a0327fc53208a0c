"""What changes organizations and people: users, memberships, access tokens."""

from datetime import datetime, timedelta

from django.conf import settings
from django.contrib.sessions.backends.db import SessionStore
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from dagy_console.accounts.models import AccessToken, Membership, Organization, User
from dagy_console.accounts.tokens import digest, new_token
from dagy_console.audit.actions import Action
from dagy_console.audit.recorder import record, record_for_each_organization
from dagy_console.core.actors import Actor
from dagy_console.core.errors import FieldError, Invalid
from dagy_console.core.permissions import Role


@transaction.atomic
def create_access_token(*, actor: Actor, user: User) -> tuple[str, datetime]:
    """A token that acts as `user`, and when it ends. The token is returned once and kept nowhere."""
    token = new_token()
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


def remove_expired() -> None:
    """Take away sessions that have ended, and tokens that ended a month ago.

    Housekeeping: they open nothing any more, and how they began and ended is in the audit log.
    """
    SessionStore.clear_expired()
    AccessToken.objects.filter(expires_at__lt=timezone.now() - timedelta(days=30)).delete()


@transaction.atomic
def create_user(*, actor: Actor, email: str, name: str, password: str, super_admin: bool = False) -> User:
    user = User(email=email, name=name, super_admin=super_admin)
    user.set_password(password)
    user.save()
    record(
        Action.USER_CREATED,
        actor=actor,
        resource_type="user",
        resource_id=str(user.pk),
        resource_name=user.email,
        after={"email": user.email, "name": name, "super_admin": super_admin},
    )
    return user


@transaction.atomic
def set_password(*, actor: Actor, user: User, password: str) -> None:
    """Replace the password. Sessions and access tokens that were made with the old one end."""
    user.set_password(password)
    user.save(update_fields=["password"])
    ended = user.access_tokens.filter(revoked_at=None).update(revoked_at=timezone.now())
    record(
        Action.PASSWORD_SET,
        actor=actor,
        resource_type="user",
        resource_id=str(user.pk),
        resource_name=user.email,
        after={"ended_sign_ins_by_api": ended},
    )


@transaction.atomic
def create_organization(*, actor: Actor, org_id: str, name: str) -> Organization:
    """Raises Invalid: an id that is malformed, reserved or taken, or no name."""
    organization = Organization(id=org_id, name=name)
    try:
        organization.full_clean()
    except ValidationError as error:
        wrong = [FieldError(field, text) for field, texts in error.message_dict.items() for text in texts]
        raise Invalid("; ".join(error.messages), errors=wrong) from None
    organization.save(force_insert=True)
    record(
        Action.ORGANIZATION_CREATED,
        actor=actor,
        resource_type="organization",
        resource_id=org_id,
        resource_name=name,
        org_id=org_id,
        after={"id": org_id, "name": name},
    )
    return organization


@transaction.atomic
def add_member(*, actor: Actor, user: User, organization: Organization, role: Role) -> Membership:
    membership = Membership.objects.create(user=user, organization=organization, role=role)
    record(
        Action.MEMBER_ADDED,
        actor=actor,
        resource_type="membership",
        resource_id=str(membership.pk),
        resource_name=user.email,
        org_id=organization.pk,
        after={"user": user.email, "organization": organization.pk, "role": role},
    )
    return membership

"""What changes organizations and people: users, passwords, memberships."""

from allauth.mfa.models import Authenticator
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from dagy_console.accounts.models import Membership, Organization, User
from dagy_console.audit.actions import Action
from dagy_console.audit.recorder import record
from dagy_console.core.actors import Actor
from dagy_console.core.errors import FieldError, Invalid
from dagy_console.core.permissions import Role


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
def remove_second_factors(*, actor: Actor, user: User) -> int:
    """For somebody who lost them all: app, passkeys and recovery codes go. Answers how many there were.

    The password alone signs in then, and a super admin sets a new one up before anything else.
    """
    found = Authenticator.objects.filter(user=user)
    types = sorted(found.values_list("type", flat=True))
    found.delete()
    record(
        Action.MFA_DISABLED,
        actor=actor,
        resource_type="user",
        resource_id=str(user.pk),
        resource_name=user.email,
        before={"factors": types},
    )
    return len(types)


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

"""Who belongs to an organization: inviting, joining, changing roles, leaving. There is always an owner."""

import uuid
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.urls import reverse
from django.utils import timezone

from dagy_console.accounts.credentials import actor_for
from dagy_console.accounts.models import Invitation, Membership, Organization, User
from dagy_console.accounts.team import selectors
from dagy_console.accounts.tokens import INVITATION, digest, new_token
from dagy_console.audit.actions import Action
from dagy_console.audit.recorder import record
from dagy_console.core import mail
from dagy_console.core.actors import Actor, Origin
from dagy_console.core.errors import Conflict, ConsoleError, Invalid, NotFound
from dagy_console.core.permissions import Permission, Role

DAYS = 7


class OwnersOnly(ConsoleError):
    status = 403
    title = "Only an owner may"


@transaction.atomic
def invite(*, actor: Actor, org_id: str, email: str, role: str) -> Invitation:
    """Mail a link by which this address may join; one that was open before is withdrawn.

    Raises PermissionDenied, OwnersOnly, Invalid, Conflict where the person is a member, or no mails are sent here.
    """
    actor.require(Permission.TEAM_WRITE, org_id=org_id)
    given = _role(role)
    _require_owner(actor, org_id, given)
    organization, email = _locked(org_id), _address(email)
    if Membership.objects.filter(organization=organization, user__email=email).exists():
        raise Conflict(f"{email} is a member already. Nothing was changed.")
    if settings.MAIL is None:
        raise Conflict("This console sends no mails (DAGY_EMAIL_URL): nobody can be invited.")
    for before in Invitation.objects.filter(
        organization=organization, email=email, accepted_at=None, withdrawn_at=None
    ):
        _withdraw(actor, before)
    token = new_token(INVITATION)
    invitation = Invitation.objects.create(
        organization=organization,
        email=email,
        role=given,
        digest=digest(token),
        invited_by=actor.email,
        expires_at=timezone.now() + timedelta(days=DAYS),
    )
    _record(Action.INVITATION_SENT, invitation, actor=actor)
    url = settings.BASE_URL + reverse("account_invitation", args=[token])
    subject = f"{organization.name} invites you to Dagy"
    by = "Dagy" if actor.is_platform else actor.email
    mail.send(
        to=[email], subject=subject, template="invitation", context={"invitation": invitation, "url": url, "by": by}
    )
    return invitation


@transaction.atomic
def withdraw(*, actor: Actor, invitation_id: uuid.UUID) -> None:
    """The mailed link opens nothing any more. Raises PermissionDenied, NotFound."""
    invitation = Invitation.objects.filter(pk=invitation_id, accepted_at=None, withdrawn_at=None).first()
    if invitation is None or not actor.can(Permission.TEAM_READ, org_id=invitation.organization_id):
        raise NotFound("There is no such open invitation, or you may not see it.")
    actor.require(Permission.TEAM_WRITE, org_id=invitation.organization_id)
    _withdraw(actor, invitation)


@transaction.atomic
def accept(*, token: str, origin: Origin, user: User | None = None, name: str = "", password: str = "") -> User:
    """Join by the mailed link: as `user`, whose address it is; or, where that is nobody's yet, as a new person.

    The link went to the address alone, so a new person's address is proved by it. Raises NotFound where the link opens
    nothing (any more), Conflict where it is another person's.
    """
    invitation = selectors.invitation_of(token)
    taken = invitation and Invitation.objects.filter(pk=invitation.pk, accepted_at=None, withdrawn_at=None).update(
        accepted_at=timezone.now()
    )
    if invitation is None or not taken:
        raise NotFound("This invitation was used, withdrawn, or is too old. Ask for a new one.")
    known = User.objects.filter(email=invitation.email).first()
    if known is not None and known != user:
        raise Conflict(f"This invitation is for {invitation.email}: sign in as them.")
    joining = known or _new_person(invitation, name, password, origin)
    membership = Membership.objects.create(user=joining, organization=invitation.organization, role=invitation.role)
    actor = actor_for(joining, origin)
    _record(Action.INVITATION_ACCEPTED, invitation, actor=actor)
    _record_member(Action.MEMBER_ADDED, membership, actor=actor, after=_snapshot(membership))
    return joining


@transaction.atomic
def change_role(*, actor: Actor, org_id: str, user_id: int, role: str) -> Membership:
    """Raises PermissionDenied, OwnersOnly, NotFound, Invalid, Conflict where no owner would be left."""
    actor.require(Permission.TEAM_WRITE, org_id=org_id)
    given = _role(role)
    _locked(org_id)
    membership = _member(org_id, user_id)
    _require_owner(actor, org_id, given, Role(membership.role))
    if given is not Role.OWNER:
        _require_another_owner(membership)
    before = _snapshot(membership)
    if membership.role != given:
        membership.role = given
        membership.save(update_fields=["role"])
        _record_member(Action.MEMBER_CHANGED, membership, actor=actor, before=before, after=_snapshot(membership))
    return membership


@transaction.atomic
def remove(*, actor: Actor, org_id: str, user_id: int) -> None:
    """Take the person out of the organization; leaving it oneself asks for no permission.

    Raises PermissionDenied, OwnersOnly, NotFound, Conflict where no owner would be left.
    """
    if not (str(user_id) == actor.id and org_id in actor.org_ids):
        actor.require(Permission.TEAM_WRITE, org_id=org_id)
    _locked(org_id)
    membership = _member(org_id, user_id)
    if str(user_id) != actor.id:
        _require_owner(actor, org_id, Role(membership.role))
    _require_another_owner(membership)
    before = _snapshot(membership)
    _record_member(Action.MEMBER_REMOVED, membership, actor=actor, before=before)
    membership.delete()


def _locked(org_id: str) -> Organization:
    """Held until the transaction ends: two changes at once can't take the last two owners."""
    organization = Organization.objects.select_for_update().filter(pk=org_id).first()
    if organization is None:
        raise NotFound("There is no such organization, or you may not see it.")
    return organization


def _member(org_id: str, user_id: int) -> Membership:
    row = Membership.objects.select_related("user").filter(organization=org_id, user=user_id).first()
    if row is None:
        raise NotFound("There is no such member.")
    return row


def _role(role: str) -> Role:
    if role not in set(Role):
        raise Invalid.field("role", f"write one of {', '.join(Role)}")
    return Role(role)


def _require_owner(actor: Actor, org_id: str, *roles: Role) -> None:
    """Only owners, and the platform's staff, make owners and unmake them."""
    if Role.OWNER in roles and not (actor.is_platform or actor.roles.get(org_id) is Role.OWNER):
        raise OwnersOnly("Only an owner may invite, change or remove an owner. Nothing was changed.")


def _require_another_owner(membership: Membership) -> None:
    owners = Membership.objects.filter(organization=membership.organization_id, role=Role.OWNER, user__is_active=True)
    if membership.role == Role.OWNER and not owners.exclude(pk=membership.pk).exists():
        raise Conflict("This is the last owner: make somebody else an owner first. Nothing was changed.")


def _address(email: str) -> str:
    email = email.strip().lower()
    local, at, domain = email.partition("@")
    if not (local and at and "." in domain) or any(sign.isspace() for sign in email) or len(email) > 254:
        raise Invalid.field("email", "this is no address")
    return email


def _withdraw(actor: Actor, invitation: Invitation) -> None:
    invitation.withdrawn_at = timezone.now()
    invitation.save(update_fields=["withdrawn_at"])
    _record(Action.INVITATION_WITHDRAWN, invitation, actor=actor)


def _new_person(invitation: Invitation, name: str, password: str, origin: Origin) -> User:
    user = User(email=invitation.email, name=name.strip()[:200])
    user.set_password(password)
    user.save()
    actor = actor_for(user, origin)
    about = {"resource_type": "user", "resource_id": str(user.pk), "resource_name": user.email}
    after = {"email": user.email, "name": user.name, "super_admin": False}
    record(Action.USER_CREATED, actor=actor, **about, org_id=invitation.organization_id, after=after)  # type: ignore[arg-type]
    return user


def _record(action: Action, invitation: Invitation, *, actor: Actor) -> None:
    record(
        action,
        actor=actor,
        resource_type="invitation",
        resource_id=str(invitation.pk),
        resource_name=invitation.email,
        org_id=invitation.organization_id,
        after=invitation.snapshot(),
    )


def _snapshot(membership: Membership) -> dict[str, str]:
    return {"user": membership.user.email, "organization": membership.organization_id, "role": membership.role}


def _record_member(
    action: Action,
    membership: Membership,
    *,
    actor: Actor,
    before: dict[str, str] | None = None,
    after: dict[str, str] | None = None,
) -> None:
    record(
        action,
        actor=actor,
        resource_type="membership",
        resource_id=str(membership.pk),
        resource_name=membership.user.email,
        org_id=membership.organization_id,
        before=before,
        after=after,
    )

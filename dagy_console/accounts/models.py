"""Organizations, people, their roles, and the access tokens they act with."""

import uuid
from typing import TYPE_CHECKING, Any

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db import models
from django.db.models.functions import Lower

from dagy_console.core.permissions import Role

if TYPE_CHECKING:
    EmailField = models.EmailField[str, str]
else:
    EmailField = models.EmailField

ORG_ID = RegexValidator(
    r"\A[A-Za-z0-9][A-Za-z0-9_-]{0,63}\Z", "1 to 64 letters, digits, _ or -, beginning with a letter or a digit"
)
# What addresses, searches and traces say for something else than one customer.
RESERVED_ORG_IDS = frozenset(
    {"all", "any", "dagy", "me", "new", "nil", "none", "null", "platform", "staff", "system", "undefined", "unknown"}
)


def not_reserved(org_id: str) -> None:
    if org_id.lower() in RESERVED_ORG_IDS:
        raise ValidationError("this id is reserved: choose another")


class Organization(models.Model):
    """A tenant: one of the platform's customers. Its id is what traces, runs and audit entries carry."""

    id = models.CharField(primary_key=True, max_length=64, validators=[ORG_ID, not_reserved])
    name = models.CharField(max_length=200)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                Lower("id"),
                name="organization_id_is_unique_whatever_its_case",
                violation_error_message="another organization has this id, whatever the case of its letters",
            )
        ]

    def __str__(self) -> str:
        return self.id


class LowerCaseEmailField(EmailField):
    """An address in lower case, however it was typed: what is kept and what is looked for are made so here alone."""

    def pre_save(self, model_instance: models.Model, add: bool) -> str | None:
        email = self.get_prep_value(getattr(model_instance, self.attname))
        setattr(model_instance, self.attname, email)
        return email

    def get_prep_value(self, value: str | None) -> str | None:
        value = super().get_prep_value(value)
        return value.lower() if isinstance(value, str) else value


class User(AbstractBaseUser):
    """A person. `super_admin` is the platform's own staff; every other power comes from memberships."""

    email = LowerCaseEmailField(unique=True)
    name = models.CharField(max_length=200, blank=True)
    super_admin = models.BooleanField(default=False)
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)

    USERNAME_FIELD = "email"
    objects = BaseUserManager["User"]()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(email=Lower("email")), name="user_email_is_lower_case")
        ]

    def __str__(self) -> str:
        return self.email


class Membership(models.Model):
    """A user's role in one organization."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=20, choices=[(role.value, role.value) for role in Role])
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "organization"], name="one_role_a_member")]

    def __str__(self) -> str:
        return f"{self.user_id} {self.role} of {self.organization_id}"


class AccessToken(models.Model):
    """A bearer token of `POST /auth/login`. Only its SHA-256 is kept; the token is shown once."""

    digest = models.CharField(max_length=64, unique=True)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="access_tokens")
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(db_index=True)
    revoked_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"access token {self.pk}"

    def snapshot(self) -> dict[str, Any]:
        return {"id": self.pk, "user": self.user.email, "expires_at": self.expires_at}


class ApiKey(models.Model):
    """A program's way in, until it expires or is revoked: what its creator may do in `organization`, as far as `scopes`
    go (None: all of it). Without an organization it is a super admin's own. Only its SHA-256 is kept.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    name = models.CharField(max_length=100)
    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, null=True, related_name="api_keys")
    created_by = models.ForeignKey(User, on_delete=models.CASCADE, related_name="api_keys")
    scopes = ArrayField(models.TextField(), null=True)
    digest = models.CharField(max_length=64, unique=True)
    # What is shown of it, so that people tell their keys apart.
    start = models.CharField(max_length=12)
    last_four = models.CharField(max_length=4)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    last_used_at = models.DateTimeField(null=True)
    last_used_ip = models.GenericIPAddressField(null=True)
    revoked_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            models.Index(fields=["-created_at", "-id"], name="api_key_newest"),
            models.Index(fields=["organization", "-created_at", "-id"], name="api_key_of_organization"),
        ]

    def __str__(self) -> str:
        return f"API key {self.name}"

    def snapshot(self) -> dict[str, Any]:
        names = ("name", "scopes", "last_four", "created_at", "expires_at", "revoked_at")
        told = {name: getattr(self, name) for name in names}
        return told | {"organization": self.organization_id, "created_by": self.created_by.email}


class RunningRuns(models.TextChoices):
    """What becomes of an organization's runs that are under way when it is suspended."""

    FINISH = "finish", "finish"
    CANCEL = "cancel", "are cancelled"


class Suspension(models.Model):
    """A time in which nobody of an organization gets in. It holds until it is lifted, or until `until` has come.

    `note` is for the customer; `reason` for the record. Who suspended and who lifted are kept as text.
    """

    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="suspensions")
    reason = models.TextField()
    note = models.TextField(blank=True)
    until = models.DateTimeField(null=True)
    running_runs = models.CharField(max_length=10, choices=RunningRuns.choices, default=RunningRuns.FINISH)
    suspended_at = models.DateTimeField(auto_now_add=True)
    suspended_by = models.TextField()
    lifted_at = models.DateTimeField(null=True)
    lifted_by = models.TextField(blank=True)
    lift_reason = models.TextField(blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization"], condition=models.Q(lifted_at=None), name="one_suspension_at_a_time"
            )
        ]

    def __str__(self) -> str:
        return f"suspension of {self.organization_id}"

    def snapshot(self) -> dict[str, Any]:
        """For the audit log, which its members read, too: without the names of the staff."""
        names = ("reason", "note", "until", "running_runs", "lift_reason")
        return {name: getattr(self, name) for name in names} | {"suspended": self.lifted_at is None}


# How long an impersonation may be asked for.
IMPERSONATION_MINUTES = (15, 30, 60)


class Impersonation(models.Model):
    """A super admin who acts as `user`, from a browser (`session`, as the audit log names it) or by a token (`digest`).

    It holds until `expires_at`, or until it is ended; `cause` says by what.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    impersonator = models.ForeignKey(User, on_delete=models.CASCADE, related_name="impersonations")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="impersonated")
    reason = models.TextField()
    read_only = models.BooleanField(default=True)
    session = models.CharField(max_length=100, blank=True)
    digest = models.CharField(max_length=64, unique=True, null=True)
    started_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    cause = models.TextField(blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["-started_at", "-id"], name="impersonation_newest"),
            models.Index(fields=["expires_at"], condition=models.Q(ended_at=None), name="impersonation_under_way"),
        ]

    def __str__(self) -> str:
        return f"impersonation {self.pk}"

    def snapshot(self) -> dict[str, Any]:
        """For the audit log, which members of the user's organizations read, too: without the names of the staff."""
        names = ("reason", "read_only", "started_at", "expires_at", "ended_at", "cause")
        return {"user": self.user.email} | {name: getattr(self, name) for name in names}


class Invitation(models.Model):
    """An address that may join an organization in a role, by a link that was mailed to it (`digest` of its token)."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="invitations")
    email = LowerCaseEmailField()
    role = models.CharField(max_length=20, choices=[(role.value, role.value) for role in Role])
    digest = models.CharField(max_length=64, unique=True)
    invited_by = models.TextField()
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    accepted_at = models.DateTimeField(null=True)
    withdrawn_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "email"],
                condition=models.Q(accepted_at=None, withdrawn_at=None),
                name="one_open_invitation_an_address",
            )
        ]

    def __str__(self) -> str:
        return f"invitation of {self.email} to {self.organization_id}"

    def snapshot(self) -> dict[str, Any]:
        return {"email": self.email, "role": self.role, "expires_at": self.expires_at}


class DenialCount(models.Model):
    """How often an actor was refused a permission in a minute, until one audit entry says so."""

    minute = models.DateTimeField()
    actor_key = models.TextField()
    permission = models.TextField()
    org_id = models.TextField()
    count = models.PositiveIntegerField()
    actor = models.JSONField()
    request = models.TextField()
    first_at = models.DateTimeField()
    last_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["minute", "actor_key", "permission", "org_id"], name="one_count_a_minute")
        ]

    def __str__(self) -> str:
        return f"{self.count} x {self.permission} refused to {self.actor_key}"

"""Organizations, people, their roles, and the access tokens they act with."""

from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.core.validators import RegexValidator
from django.db import models
from django.db.models.functions import Lower

from dagy_console.core.permissions import Role

ORG_ID = RegexValidator(r"^[A-Za-z0-9_-]{1,64}$", "1 to 64 letters, digits, _ or -")


class Organization(models.Model):
    """A tenant: one of the platform's customers. Its id is what traces, runs and audit entries carry."""

    id = models.CharField(primary_key=True, max_length=64, validators=[ORG_ID])
    name = models.CharField(max_length=200)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.id


class UserManager(BaseUserManager["User"]):
    def get_by_natural_key(self, username: str | None) -> "User":
        return self.get(email__iexact=username)


class User(AbstractBaseUser):
    """A person. `super_admin` is the platform's own staff; every other power comes from memberships."""

    email = models.EmailField(unique=True)
    name = models.CharField(max_length=200, blank=True)
    super_admin = models.BooleanField(default=False)
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)

    USERNAME_FIELD = "email"
    objects = UserManager()

    class Meta:
        constraints = [models.UniqueConstraint(Lower("email"), name="user_email_is_unique_whatever_its_case")]

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

"""Who acts: a user by session or by access token, or the system. Built once per request, passed to every service."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from dagy_console.core.errors import PermissionDenied
from dagy_console.core.permissions import ROLE_PERMISSIONS, SUPER_ADMIN_PERMISSIONS, Permission, Role


class ActorKind(StrEnum):
    USER = "user"
    TOKEN = "token"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a request came from, as the audit log keeps it."""

    ip: str | None = None
    user_agent: str = ""
    request_id: str = ""
    session_id: str = ""


@dataclass(frozen=True, slots=True)
class Actor:
    """An identity with its powers. `roles` maps organization ids to the role held there."""

    kind: ActorKind
    id: str = ""
    email: str = ""
    super_admin: bool = False
    roles: Mapping[str, Role] = field(default_factory=dict)
    origin: Origin = field(default_factory=Origin)

    @property
    def role(self) -> str:
        """The role as the audit log names it."""
        if self.kind is ActorKind.SYSTEM:
            return "system"
        return "super_admin" if self.super_admin else ",".join(sorted(set(self.roles.values())))

    @property
    def org_id(self) -> str:
        """The organization that this actor acts for, where it is just one."""
        return next(iter(self.roles)) if len(self.roles) == 1 and not self.super_admin else ""

    def can(self, permission: Permission) -> bool:
        """Whether the permission is held at all: platform-wide, or in at least one organization."""
        if self.is_platform and permission in SUPER_ADMIN_PERMISSIONS:
            return True
        return any(permission in ROLE_PERMISSIONS[role] for role in self.roles.values())

    def require(self, permission: Permission) -> None:
        """Raise PermissionDenied where `can()` says no."""
        if not self.can(permission):
            raise PermissionDenied(permission)

    def orgs_with(self, permission: Permission) -> frozenset[str]:
        """The organizations in which the permission is held by membership."""
        return frozenset(org for org, role in self.roles.items() if permission in ROLE_PERMISSIONS[role])

    @property
    def is_platform(self) -> bool:
        """Whether the actor sees every organization."""
        return self.super_admin or self.kind is ActorKind.SYSTEM

    def permissions(self) -> frozenset[Permission]:
        return frozenset(permission for permission in Permission if self.can(permission))


SYSTEM = Actor(kind=ActorKind.SYSTEM, id="system", email="")

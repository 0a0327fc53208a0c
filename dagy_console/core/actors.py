"""Who acts: a person by session or token, nobody known, or the system. Made once a request, given to every service."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, TypeVar

from django.db.models import QuerySet

from dagy_console.core.errors import PermissionDenied
from dagy_console.core.permissions import (
    PLATFORM_PERMISSIONS,
    ROLE_PERMISSIONS,
    SUPER_ADMIN_PERMISSIONS,
    Permission,
    Role,
)

RowsT = TypeVar("RowsT", bound=QuerySet[Any])


class ActorKind(StrEnum):
    USER = "user"
    TOKEN = "token"
    API_KEY = "api_key"
    ANONYMOUS = "anonymous"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a request came from, as the audit log keeps it."""

    ip: str | None = None
    user_agent: str = ""
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class Impersonator:
    """The super admin who acts as the actor, until `expires_at`; `read_only`: with what only reads.

    `impersonation` is the id under which it is on record.
    """

    id: str
    email: str
    expires_at: datetime
    read_only: bool
    impersonation: str = ""


@dataclass(frozen=True, slots=True)
class Actor:
    """An identity with its powers.

    `roles` maps organization ids to the role held there, but for those that are `suspended`. `second_factor`: whether
    the person has one set up. `scopes` are the permissions that the credential is limited to (None: to none).
    `credential` tells what the actor acts by, as the audit log names it: "session:3f1c…", "access_token:7".
    """

    kind: ActorKind
    id: str = ""
    email: str = ""
    super_admin: bool = False
    roles: Mapping[str, Role] = field(default_factory=dict)
    suspended: frozenset[str] = frozenset()
    second_factor: bool = False
    origin: Origin = field(default_factory=Origin)
    credential: str = ""
    scopes: frozenset[Permission] | None = None
    impersonator: Impersonator | None = None

    def role_in(self, org_id: str) -> str:
        """The role as an audit entry of that organization names it."""
        if self.kind is ActorKind.SYSTEM:
            return "system"
        if self.super_admin:
            return "super_admin"
        return self.roles.get(org_id) or ",".join(sorted(set(self.roles.values())))

    @property
    def org_ids(self) -> list[str]:
        """The organizations that this actor acts for: those of a member; staff act for none."""
        return [] if self.super_admin else sorted(self.roles)

    @property
    def org_id(self) -> str:
        """The organization that this actor acts for, where it is just one."""
        return self.org_ids[0] if len(self.org_ids) == 1 else ""

    @property
    def is_platform(self) -> bool:
        """Whether the actor sees every organization."""
        return self.super_admin or self.kind is ActorKind.SYSTEM

    @property
    def is_locked_out(self) -> bool:
        """Whether all that the actor belongs to is suspended."""
        return bool(self.suspended) and not self.roles and not self.is_platform

    def can(self, permission: Permission, *, org_id: str | None = None) -> bool:
        """Whether the permission is held: platform-wide, or by a role in the organization `org_id`.

        Raises TypeError where an organization's permission is asked for without saying for which organization: held
        in one of them says nothing about another.
        """
        if permission in PLATFORM_PERMISSIONS:
            return self.can_somewhere(permission)
        if org_id is None:
            raise TypeError(f"{permission} is held in an organization: say org_id, or ask can_somewhere()")
        return self._holds_everywhere(permission) or org_id in self.orgs_with(permission)

    def require(self, permission: Permission, *, org_id: str | None = None) -> None:
        """Raise PermissionDenied where `can()` says no."""
        if not self.can(permission, org_id=org_id):
            raise PermissionDenied(permission, org_id=org_id)

    def can_somewhere(self, permission: Permission) -> bool:
        """Whether the permission is held at all. For navigation, and for lists that `orgs_with()` then narrows."""
        return self._holds_everywhere(permission) or bool(self.orgs_with(permission))

    def require_somewhere(self, permission: Permission) -> None:
        """Raise PermissionDenied where `can_somewhere()` says no."""
        if not self.can_somewhere(permission):
            raise PermissionDenied(permission)

    def orgs_with(self, permission: Permission) -> frozenset[str]:
        """The organizations in which the permission is held by membership."""
        if not self._credential_allows(permission):
            return frozenset()
        return frozenset(org for org, role in self.roles.items() if permission in ROLE_PERMISSIONS[role])

    def scoped(self, rows: RowsT, permission: Permission) -> RowsT:
        """Every row for the platform's staff; for others those whose `organization` is one in which they have the
        permission. Raises PermissionDenied."""
        self.require_somewhere(permission)
        return rows if self.is_platform else rows.filter(organization__in=self.orgs_with(permission))

    def permissions(self) -> frozenset[Permission]:
        """All that are held somewhere."""
        return frozenset(permission for permission in Permission if self.can_somewhere(permission))

    def described(self) -> dict[str, Any]:
        """The actor as plain JSON, for work that goes on after the request; `from_description()` takes it back."""
        return asdict(self) | {
            "roles": dict(self.roles),
            "suspended": sorted(self.suspended),
            "scopes": None if self.scopes is None else sorted(self.scopes),
            "impersonator": self.impersonator
            and asdict(self.impersonator) | {"expires_at": self.impersonator.expires_at.isoformat()},
        }

    @classmethod
    def from_description(cls, told: Mapping[str, Any]) -> "Actor":
        """The actor of `described()`, also of one that an earlier version has written."""
        origin, by, scopes = dict(told["origin"]), told.get("impersonator"), told.get("scopes")
        credential = origin.pop("session_id", "")
        return cls(
            kind=ActorKind(told["kind"]),
            id=told["id"],
            email=told["email"],
            super_admin=told["super_admin"],
            roles={org: Role(role) for org, role in told.get("roles", {}).items()},
            second_factor=told.get("second_factor", False),
            suspended=frozenset(told.get("suspended", ())),
            origin=Origin(**origin),
            credential=told.get("credential", credential),
            scopes=None if scopes is None else frozenset(map(Permission, scopes)),
            impersonator=by and Impersonator(**by | {"expires_at": datetime.fromisoformat(by["expires_at"])}),
        )

    def _holds_everywhere(self, permission: Permission) -> bool:
        return self.is_platform and permission in SUPER_ADMIN_PERMISSIONS and self._credential_allows(permission)

    def _credential_allows(self, permission: Permission) -> bool:
        if self.impersonator and self.impersonator.read_only and not permission.endswith(".read"):
            return False
        return self.scopes is None or permission in self.scopes


SYSTEM = Actor(kind=ActorKind.SYSTEM, id="system")

"""Who may do what: the one table of roles and permissions (section "Roles and permissions" of the API guide)."""

from enum import StrEnum


class Permission(StrEnum):
    FLOWS_READ = "flows.read"
    FLOWS_WRITE = "flows.write"
    RUNS_READ = "runs.read"
    RUNS_TRIGGER = "runs.trigger"
    RUNS_CANCEL = "runs.cancel"
    SCHEDULES_READ = "schedules.read"
    SCHEDULES_WRITE = "schedules.write"
    SECRETS_READ = "secrets.read"
    SECRETS_WRITE = "secrets.write"
    AUDIT_READ = "audit.read"
    NOTIFICATIONS_READ = "notifications.read"
    NOTIFICATIONS_WRITE = "notifications.write"
    API_KEYS_READ = "api_keys.read"
    API_KEYS_WRITE = "api_keys.write"
    TEAM_READ = "team.read"
    TEAM_WRITE = "team.write"
    BILLING_WRITE = "billing.write"
    EXCEPTIONS_READ = "exceptions.read"
    EXCEPTIONS_DOWNLOAD = "exceptions.download"
    EXCEPTIONS_WRITE = "exceptions.write"
    EXCEPTIONS_DELETE = "exceptions.delete"
    CUSTOMERS_READ = "customers.read"
    CUSTOMERS_SUSPEND = "customers.suspend"
    USERS_IMPERSONATE = "users.impersonate"
    SESSIONS_REVOKE = "sessions.revoke"
    INCIDENTS_READ = "incidents.read"
    INCIDENTS_WRITE = "incidents.write"
    PLATFORM_READ = "platform.read"


class Role(StrEnum):
    OWNER = "owner"
    ADMIN = "admin"
    DEVELOPER = "developer"
    VIEWER = "viewer"


P = Permission
_VIEWER = frozenset({P.FLOWS_READ, P.RUNS_READ, P.SCHEDULES_READ})
_DEVELOPER = _VIEWER | {P.FLOWS_WRITE, P.RUNS_TRIGGER, P.RUNS_CANCEL, P.SCHEDULES_WRITE}
_ADMIN = _DEVELOPER | {
    P.SECRETS_READ,
    P.SECRETS_WRITE,
    P.AUDIT_READ,
    P.NOTIFICATIONS_READ,
    P.NOTIFICATIONS_WRITE,
    P.API_KEYS_READ,
    P.API_KEYS_WRITE,
    P.TEAM_READ,
    P.TEAM_WRITE,
}
_OWNER = _ADMIN | {P.BILLING_WRITE}

ROLE_PERMISSIONS: dict[Role, frozenset[Permission]] = {
    Role.OWNER: _OWNER,
    Role.ADMIN: _ADMIN,
    Role.DEVELOPER: _DEVELOPER,
    Role.VIEWER: _VIEWER,
}
# Held by the platform's own staff alone, for all organizations at once. Every other is held in an organization.
PLATFORM_PERMISSIONS = frozenset(
    permission
    for permission in Permission
    if permission.partition(".")[0] in {"exceptions", "customers", "users", "sessions", "incidents", "platform"}
)
# A super admin is no customer: everything but a customer's billing.
SUPER_ADMIN_PERMISSIONS = frozenset(Permission) - {P.BILLING_WRITE}

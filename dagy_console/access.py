"""Who may open which door: one row for each page and each operation of the API, and the page that shows them.

The services ask for the permissions by themselves; the rows say what they ask for. tests/test_access.py goes through
every door as everybody, and fails where an answer is another than its row says, or where a door has no row.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.http import HttpResponse
from django.urls import URLPattern, URLResolver, get_resolver
from django.views.decorators.http import require_safe

from dagy_console.api import api
from dagy_console.core.actors import Actor, ActorKind, Impersonator
from dagy_console.core.http import ConsoleRequest, render_page
from dagy_console.core.permissions import Permission, Role

P = Permission
# Where who is not signed in signs in, or proves who they are: allauth's names, and what stands beside them; and where a
# signed link leads.
ENTRANCES = (
    "account_",
    "alert_confirm",
    "alert_link",
    "alert_stop",
    "mfa_authenticate",
    "mfa_login_",
    "mfa_reauthenticate",
)


@dataclass(frozen=True, slots=True)
class Access:
    """What a door asks for. `permission` None: to be signed in; `is_open`: nothing; `token`: one that no person has.

    `keys`: it is about somebody's own credentials, which nobody touches who acts as them. `or_own`: without the
    permission too, for what is one's own.
    """

    permission: Permission | None = None
    is_open: bool = False
    keys: bool = False
    or_own: bool = False
    token: str = ""

    def allows(self, actor: Actor | None) -> bool:
        if self.token:
            return False
        if actor is None or actor.is_locked_out:
            return actor is None and self.is_open
        if self.keys and actor.impersonator:
            return False
        return self.permission is None or actor.can_somewhere(self.permission)


OPEN, SIGNED_IN, OWN_KEYS = Access(is_open=True), Access(), Access(keys=True)
PAGES = {
    "home": SIGNED_IN,
    "preferences": SIGNED_IN,
    "system": Access(P.PLATFORM_READ),
    "access": Access(P.PLATFORM_READ),
    "exceptions:list": Access(P.EXCEPTIONS_READ),
    "exceptions:trace": Access(P.EXCEPTIONS_READ),
    "exceptions:content": Access(P.EXCEPTIONS_READ),
    "exceptions:download": Access(P.EXCEPTIONS_DOWNLOAD),
    "exceptions:comparison": Access(P.EXCEPTIONS_READ),
    "exceptions:groups": Access(P.EXCEPTIONS_READ),
    "exceptions:group": Access(P.EXCEPTIONS_READ),
    "exceptions:group-analysis": Access(P.EXCEPTIONS_READ),
    "exceptions:group-status": Access(P.EXCEPTIONS_WRITE),
    "exceptions:deletions": Access(P.EXCEPTIONS_DELETE),
    "exceptions:deletion-confirm": Access(P.EXCEPTIONS_DELETE),
    "exceptions:deletion-start": Access(P.EXCEPTIONS_DELETE),
    "exceptions:deletion": Access(P.EXCEPTIONS_DELETE),
    "exceptions:deletion-cancel": Access(P.EXCEPTIONS_DELETE),
    "runs:list": Access(P.RUNS_READ),
    "runs:run": Access(P.RUNS_READ),
    "runs:log": Access(P.RUNS_READ),
    "runs:log-text": Access(P.RUNS_READ),
    "runs:graph": Access(P.RUNS_READ),
    "runs:changes": Access(P.RUNS_READ),
    "runs:task": Access(P.RUNS_READ),
    "runs:artifact": Access(P.RUNS_READ),
    "runs:artifact-download": Access(P.RUNS_READ),
    "secrets:list": Access(P.SECRETS_READ),
    "secrets:new": Access(P.SECRETS_WRITE),
    "secrets:delete": Access(P.SECRETS_WRITE),
    "schedules:list": Access(P.SCHEDULES_READ),
    "schedules:new": Access(P.SCHEDULES_WRITE),
    "schedules:schedule": Access(P.SCHEDULES_READ),
    "schedules:pause": Access(P.SCHEDULES_WRITE),
    "schedules:delete": Access(P.SCHEDULES_WRITE),
    "runs:stuck": Access(P.RUNS_READ),
    "runs:many": Access(P.RUNS_CANCEL),
    "runs:new": Access(P.RUNS_TRIGGER),
    "runs:cancel": Access(P.RUNS_CANCEL),
    "runs:retry": Access(P.RUNS_TRIGGER),
    "channels:list": Access(P.NOTIFICATIONS_READ),
    "channels:new": Access(P.NOTIFICATIONS_WRITE),
    "channels:channel": Access(P.NOTIFICATIONS_READ),
    "channels:test": Access(P.NOTIFICATIONS_WRITE),
    "channels:ask": Access(P.NOTIFICATIONS_WRITE),
    "channels:rotate": Access(P.NOTIFICATIONS_WRITE),
    "channels:delete": Access(P.NOTIFICATIONS_WRITE),
    "rules:list": Access(P.NOTIFICATIONS_READ),
    "rules:new": Access(P.NOTIFICATIONS_WRITE),
    "rules:rule": Access(P.NOTIFICATIONS_READ),
    "rules:preview": Access(P.NOTIFICATIONS_WRITE),
    "rules:preview-change": Access(P.NOTIFICATIONS_WRITE),
    "rules:why": Access(P.NOTIFICATIONS_READ),
    "rules:history": Access(P.NOTIFICATIONS_READ),
    "rules:delete": Access(P.NOTIFICATIONS_WRITE),
    "silences:list": Access(P.NOTIFICATIONS_READ),
    "silences:new": Access(P.NOTIFICATIONS_WRITE),
    "silences:silence": Access(P.NOTIFICATIONS_READ),
    "silences:end": Access(P.NOTIFICATIONS_WRITE),
    "rotations:list": Access(P.NOTIFICATIONS_READ),
    "rotations:new": Access(P.NOTIFICATIONS_WRITE),
    "rotations:rotation": Access(P.NOTIFICATIONS_READ),
    "rotations:change": Access(P.NOTIFICATIONS_WRITE),
    "rotations:delete": Access(P.NOTIFICATIONS_WRITE),
    "rotations:override": Access(P.NOTIFICATIONS_WRITE),
    "rotations:override-end": Access(P.NOTIFICATIONS_WRITE),
    "alerts:list": Access(P.NOTIFICATIONS_READ),
    "alerts:alert": Access(P.NOTIFICATIONS_READ),
    "alerts:acknowledge": Access(P.NOTIFICATIONS_WRITE),
    "alerts:unacknowledge": Access(P.NOTIFICATIONS_WRITE),
    "alerts:resolve": Access(P.NOTIFICATIONS_WRITE),
    "deliveries:list": Access(P.NOTIFICATIONS_READ),
    "deliveries:resend": Access(P.NOTIFICATIONS_WRITE),
    "customers:list": Access(P.CUSTOMERS_READ),
    "customers:customer": Access(P.CUSTOMERS_READ),
    "customers:suspend": Access(P.CUSTOMERS_SUSPEND),
    "customers:unsuspend": Access(P.CUSTOMERS_SUSPEND),
    "accounts:sessions": Access(P.SESSIONS_REVOKE),
    "accounts:session-end": Access(P.SESSIONS_REVOKE, keys=True, or_own=True),
    "accounts:sessions-revoke": Access(P.SESSIONS_REVOKE),
    "accounts:impersonations": Access(P.USERS_IMPERSONATE),
    "accounts:impersonation-start": Access(P.USERS_IMPERSONATE),
    "accounts:impersonation-end": SIGNED_IN,
    "accounts:impersonation-end-other": Access(P.USERS_IMPERSONATE),
    "accounts:team": Access(P.TEAM_READ),
    "accounts:invite": Access(P.TEAM_WRITE),
    "accounts:invitation-withdraw": Access(P.TEAM_WRITE),
    "accounts:member": Access(P.TEAM_WRITE),
    "accounts:member-remove": Access(P.TEAM_WRITE, or_own=True),
    "api-keys:list": Access(P.API_KEYS_READ),
    "api-keys:new": Access(P.API_KEYS_WRITE, keys=True),
    "api-keys:revoke": Access(P.API_KEYS_WRITE, keys=True),
    "audit:list": Access(P.AUDIT_READ),
    "account": SIGNED_IN,
    "accounts:own-sessions": SIGNED_IN,
    "accounts:sessions-end-others": OWN_KEYS,
    "mfa_activate_totp": OWN_KEYS,
    "mfa_deactivate_totp": OWN_KEYS,
    "mfa_view_recovery_codes": OWN_KEYS,
    "mfa_generate_recovery_codes": OWN_KEYS,
    "mfa_add_webauthn": OWN_KEYS,
    "mfa_edit_webauthn": OWN_KEYS,
    "mfa_remove_webauthn": OWN_KEYS,
}
OPERATIONS = {
    "POST /auth/login": OPEN,
    "POST /auth/logout": SIGNED_IN,
    "GET /me": SIGNED_IN,
    "GET /users/me": SIGNED_IN,
    "GET /team/members": Access(P.TEAM_READ),
    "POST /team/invitations": Access(P.TEAM_WRITE),
    "PATCH /team/members/{user_id}": Access(P.TEAM_WRITE),
    "DELETE /team/members/{user_id}": Access(P.TEAM_WRITE, or_own=True),
    "GET /api-keys": Access(P.API_KEYS_READ),
    "POST /api-keys": Access(P.API_KEYS_WRITE, keys=True),
    "DELETE /api-keys/{api_key_id}": Access(P.API_KEYS_WRITE, keys=True),
    "GET /audit-logs": Access(P.AUDIT_READ),
    "GET /audit-logs/{entry_id}": Access(P.AUDIT_READ),
    "GET /admin/customers": Access(P.CUSTOMERS_READ),
    "GET /admin/customers/{org_id}": Access(P.CUSTOMERS_READ),
    "GET /admin/customers/{org_id}/suspension-preview": Access(P.CUSTOMERS_SUSPEND),
    "POST /admin/customers/{org_id}/suspend": Access(P.CUSTOMERS_SUSPEND),
    "POST /admin/customers/{org_id}/unsuspend": Access(P.CUSTOMERS_SUSPEND),
    "GET /admin/sessions": Access(P.SESSIONS_REVOKE),
    "DELETE /admin/sessions/{session_id}": Access(P.SESSIONS_REVOKE),
    "POST /admin/sessions/revoke": Access(P.SESSIONS_REVOKE),
    "GET /admin/impersonations": Access(P.USERS_IMPERSONATE),
    "POST /admin/impersonations": Access(P.USERS_IMPERSONATE),
    "DELETE /admin/impersonations/{impersonation_id}": Access(P.USERS_IMPERSONATE, or_own=True),
    "GET /notifications/channels": Access(P.NOTIFICATIONS_READ),
    "POST /notifications/channels": Access(P.NOTIFICATIONS_WRITE),
    "GET /notifications/channels/{channel_id}": Access(P.NOTIFICATIONS_READ),
    "PATCH /notifications/channels/{channel_id}": Access(P.NOTIFICATIONS_WRITE),
    "DELETE /notifications/channels/{channel_id}": Access(P.NOTIFICATIONS_WRITE),
    "POST /notifications/channels/{channel_id}/test": Access(P.NOTIFICATIONS_WRITE),
    "POST /notifications/channels/{channel_id}/ask": Access(P.NOTIFICATIONS_WRITE),
    "POST /notifications/channels/{channel_id}/rotate": Access(P.NOTIFICATIONS_WRITE),
    "GET /notifications/rules": Access(P.NOTIFICATIONS_READ),
    "POST /notifications/rules": Access(P.NOTIFICATIONS_WRITE),
    "POST /notifications/rules/preview": Access(P.NOTIFICATIONS_WRITE),
    "GET /notifications/rules/{rule_id}": Access(P.NOTIFICATIONS_READ),
    "GET /notifications/rules/{rule_id}/why": Access(P.NOTIFICATIONS_READ),
    "PATCH /notifications/rules/{rule_id}": Access(P.NOTIFICATIONS_WRITE),
    "DELETE /notifications/rules/{rule_id}": Access(P.NOTIFICATIONS_WRITE),
    "GET /notifications/alerts": Access(P.NOTIFICATIONS_READ),
    "GET /notifications/alerts/{alert_id}": Access(P.NOTIFICATIONS_READ),
    "POST /notifications/alerts/{alert_id}/acknowledge": Access(P.NOTIFICATIONS_WRITE),
    "POST /notifications/alerts/{alert_id}/unacknowledge": Access(P.NOTIFICATIONS_WRITE),
    "POST /notifications/alerts/{alert_id}/resolve": Access(P.NOTIFICATIONS_WRITE),
    "GET /notifications/silences": Access(P.NOTIFICATIONS_READ),
    "POST /notifications/silences": Access(P.NOTIFICATIONS_WRITE),
    "DELETE /notifications/silences/{silence_id}": Access(P.NOTIFICATIONS_WRITE),
    "GET /notifications/rotations": Access(P.NOTIFICATIONS_READ),
    "POST /notifications/rotations": Access(P.NOTIFICATIONS_WRITE),
    "GET /notifications/rotations/{rotation_id}": Access(P.NOTIFICATIONS_READ),
    "PATCH /notifications/rotations/{rotation_id}": Access(P.NOTIFICATIONS_WRITE),
    "DELETE /notifications/rotations/{rotation_id}": Access(P.NOTIFICATIONS_WRITE),
    "POST /notifications/rotations/{rotation_id}/overrides": Access(P.NOTIFICATIONS_WRITE),
    "DELETE /notifications/rotations/{rotation_id}/overrides/{override_id}": Access(P.NOTIFICATIONS_WRITE),
    "GET /notifications/deliveries": Access(P.NOTIFICATIONS_READ),
    "POST /notifications/deliveries/{delivery_id}/resend": Access(P.NOTIFICATIONS_WRITE),
    "GET /flows": Access(P.FLOWS_READ),
    "GET /flows/{flow_id}": Access(P.FLOWS_READ),
    "POST /deployments": Access(P.FLOWS_WRITE),
    "GET /deployments": Access(P.FLOWS_READ),
    "GET /runs": Access(P.RUNS_READ),
    "POST /runs": Access(P.RUNS_TRIGGER),
    "POST /runs/local": Access(P.RUNS_TRIGGER),
    "POST /runs/cancel": Access(P.RUNS_CANCEL),
    "POST /runs/retry": Access(P.RUNS_TRIGGER),
    "GET /secrets": Access(P.SECRETS_READ),
    "PUT /secrets/{name}": Access(P.SECRETS_WRITE),
    "DELETE /secrets/{name}": Access(P.SECRETS_WRITE),
    "GET /schedules": Access(P.SCHEDULES_READ),
    "POST /schedules": Access(P.SCHEDULES_WRITE),
    "PATCH /schedules/{schedule_id}": Access(P.SCHEDULES_WRITE),
    "DELETE /schedules/{schedule_id}": Access(P.SCHEDULES_WRITE),
    "GET /runs/stuck": Access(P.RUNS_READ),
    "GET /runs/{run_id}": Access(P.RUNS_READ),
    "GET /runs/{run_id}/logs": Access(P.RUNS_READ),
    "GET /runs/{run_id}/artifacts": Access(P.RUNS_READ),
    "GET /runs/{run_id}/artifacts/{task_id}/{name}": Access(P.RUNS_READ),
    "POST /runs/{run_id}/cancel": Access(P.RUNS_CANCEL),
    "POST /runs/{run_id}/retry": Access(P.RUNS_TRIGGER),
    "POST /admin/exceptions/events": Access(token="the token of events"),
    "GET /admin/exceptions": Access(P.EXCEPTIONS_READ),
    "GET /admin/exceptions/summary": Access(P.EXCEPTIONS_READ),
    "GET /admin/exceptions/groups": Access(P.EXCEPTIONS_READ),
    "GET /admin/exceptions/groups/{fingerprint}": Access(P.EXCEPTIONS_READ),
    "PATCH /admin/exceptions/groups/{fingerprint}": Access(P.EXCEPTIONS_WRITE),
    "GET /admin/exceptions/differences": Access(P.EXCEPTIONS_READ),
    "GET /admin/exceptions/content": Access(P.EXCEPTIONS_READ),
    "GET /admin/exceptions/download": Access(P.EXCEPTIONS_DOWNLOAD),
    "DELETE /admin/exceptions": Access(P.EXCEPTIONS_DELETE),
    "POST /admin/exceptions/deletions": Access(P.EXCEPTIONS_DELETE),
    "GET /admin/exceptions/deletions/{job_id}": Access(P.EXCEPTIONS_DELETE),
    "POST /admin/exceptions/deletions/{job_id}/cancel": Access(P.EXCEPTIONS_DELETE),
    "GET /demo/error": OPEN,
    "POST /demo/error": OPEN,
}


def pages() -> dict[str, str]:
    """The console's pages that are no entrances: name -> address."""
    return {name: f"/{route}" for name, route in _walk(get_resolver().url_patterns) if not name.startswith(ENTRANCES)}


def operations() -> list[str]:
    """The API's operations: "GET /me"."""
    return sorted(
        {
            f"{method} {prefix}{path}"
            for prefix, router in api._routers
            for path, view in router.path_operations.items()
            for operation in view.operations
            for method in operation.methods
        }
    )


def _walk(patterns: list[URLPattern | URLResolver], names: str = "", route: str = "") -> Iterator[tuple[str, str]]:
    for pattern in patterns:
        here = f"{route}{pattern.pattern}"
        if isinstance(pattern, URLPattern):
            if pattern.name:
                yield f"{names}{pattern.name}", here
        elif pattern.namespace != api.urls_namespace:
            yield from _walk(pattern.url_patterns, f"{pattern.namespace}:" if pattern.namespace else names, here)


def _as_owner(*, read_only: bool) -> Actor:
    by = Impersonator(id="", email="", expires_at=datetime.max.replace(tzinfo=UTC), read_only=read_only)
    return Actor(kind=ActorKind.USER, roles={"": Role.OWNER}, impersonator=by)


EVERYBODY = {
    "nobody": None,
    **{role.value: Actor(kind=ActorKind.USER, roles={"": role}) for role in reversed(Role)},
    "super admin": Actor(kind=ActorKind.USER, super_admin=True),
    "looking as an owner": _as_owner(read_only=True),
    "acting as an owner": _as_owner(read_only=False),
    "suspended": Actor(kind=ActorKind.USER, suspended=frozenset({""})),
}


def rows(doors: dict[str, Access], addresses: dict[str, str]) -> list[dict[str, Any]]:
    """For each door its address, what it asks for, and for each of EVERYBODY whether it opens."""
    return [
        {
            "door": addresses[name],
            "needs": "nothing" if access.is_open else access.token or access.permission or "to be signed in",
            "or_own": access.or_own,
            "cells": [access.allows(actor) for actor in EVERYBODY.values()],
        }
        for name, access in doors.items()
    ]


@require_safe
def page(request: ConsoleRequest) -> HttpResponse:
    """Who may open which door."""
    request.actor.require(Permission.PLATFORM_READ)
    tables = [
        {"title": "Pages", "rows": rows(PAGES, pages())},
        {"title": "API", "rows": rows(OPERATIONS, {name: name for name in OPERATIONS})},
    ]
    return render_page(request, "access.html", {"nav": "system", "tables": tables, "everybody": list(EVERYBODY)})

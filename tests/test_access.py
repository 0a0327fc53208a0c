"""The matrix: every page and every operation of the API, opened as everybody, answers as access.py says."""

import copy
import json
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest
from allauth.usersessions.models import UserSession
from django.db import transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from dagy_console.access import EVERYBODY, OPERATIONS, PAGES, operations, pages
from dagy_console.accounts.api_keys import services as api_keys
from dagy_console.accounts.credentials import IMPERSONATING, actor_for, bearer
from dagy_console.accounts.impersonation import services as impersonation
from dagy_console.accounts.models import ApiKey, Impersonation, Invitation, Membership, Organization, Suspension, User
from dagy_console.accounts.team import services as team
from dagy_console.alerts.channels import services as channels
from dagy_console.alerts.models import Alert
from dagy_console.alerts.rotations import services as rotations
from dagy_console.alerts.rules import services as rules
from dagy_console.alerts.rules.terms import Terms
from dagy_console.alerts.silences import services as silences
from dagy_console.audit.models import AuditEntry
from dagy_console.core.actors import Actor, Origin
from dagy_console.core.database import horizon
from dagy_console.core.permissions import Permission, Role
from dagy_console.core.times import to_rfc3339
from dagy_console.exceptions.deletions import services as deletion
from dagy_console.exceptions.models import DeletionJob, Trace
from dagy_console.listing.language import Term
from dagy_console.runs.models import TaskRun
from tests.console import PASSWORD, actor_of, api_client, browser_of, create_person, new_bucket, rebuild_index
from tests.runs.support import a_run, a_schedule

# Door -> (for a page: method;) what it is given, and what a super admin gets, for whom that succeeds.
GIVEN_PAGES = {
    "home": ("GET", {}, 200),
    "system": ("GET", {}, 200),
    "preferences": ("POST", {"theme": "dark"}, 302),
    "exceptions:list": ("GET", {"q": "org:org_blue"}, 200),
    "exceptions:trace": ("GET", {"key": "{key}"}, 200),
    "exceptions:content": ("GET", {"key": "{key}"}, 200),
    "exceptions:download": ("POST", {"key": "{key}"}, 303),
    "exceptions:comparison": ("GET", {"a": "{key}", "b": "{key}"}, 200),
    "exceptions:groups": ("GET", {"q": "status:open"}, 200),
    "exceptions:group": ("GET", {}, 200),
    "exceptions:group-analysis": ("GET", {}, 200),
    "exceptions:group-status": ("POST", {"status": "resolved"}, 302),
    "exceptions:deletions": ("GET", {}, 200),
    "exceptions:deletion-confirm": ("GET", {"key": "{key}"}, 200),
    "exceptions:deletion-start": (
        "POST",
        {
            "keys_json": '["{key}"]',
            "cutoff": "{now}",
            "snapshot": "{snapshot}",
            "expected_count": "1",
            "typed_count": "1",
        },
        302,
    ),
    "exceptions:deletion": ("GET", {}, 200),
    "exceptions:deletion-cancel": ("POST", {}, 302),
    "api-keys:list": ("GET", {}, 200),
    "api-keys:new": ("GET", {}, 200),
    "api-keys:revoke": ("POST", {}, 302),
    "audit:list": ("GET", {}, 200),
    "customers:list": ("GET", {"q": "status:active"}, 200),
    "customers:customer": ("GET", {}, 200),
    "customers:suspend": ("POST", {"reason": "unpaid since June", "running_runs": "finish"}, 302),
    "customers:unsuspend": ("POST", {"reason": "paid in July"}, 302),
    "accounts:team": ("GET", {"q": "role:owner"}, 200),
    "accounts:invite": ("POST", {"email": "new@blue.example", "role": "viewer"}, 302),
    "accounts:invitation-withdraw": ("POST", {}, 302),
    "accounts:member": ("POST", {"role": "admin"}, 302),
    "accounts:member-remove": ("POST", {}, 302),
    "accounts:own-sessions": ("GET", {}, 200),
    "accounts:sessions-end-others": ("POST", {}, 302),
    "accounts:sessions": ("GET", {"q": "org:org_blue"}, 200),
    "accounts:session-end": ("POST", {}, 302),
    "accounts:sessions-revoke": ("POST", {"email": "bob@blue.example", "reason": "a stolen laptop"}, 302),
    "accounts:impersonations": ("GET", {}, 200),
    "accounts:impersonation-start": (
        "POST",
        {"email": "bob@blue.example", "reason": "Ticket 4711", "minutes": "15", "mode": "read"},
        302,
    ),
    "accounts:impersonation-end": ("POST", {}, 302),
    "accounts:impersonation-end-other": ("POST", {}, 302),
    "account": ("GET", {}, 200),
    "mfa_activate_totp": ("GET", {}, 302),
    "mfa_deactivate_totp": ("GET", {}, 404),
    "mfa_view_recovery_codes": ("GET", {}, 404),
    "mfa_generate_recovery_codes": ("POST", {}, 302),
    "mfa_add_webauthn": ("GET", {}, 302),
    "mfa_edit_webauthn": ("POST", {"name": "x"}, 302),
    "mfa_remove_webauthn": ("POST", {}, 302),
    "access": ("GET", {}, 200),
}
GIVEN_PAGES |= {
    "runs:list": ("GET", {"q": "status:FAILED"}, 200),
    "runs:run": ("GET", {}, 200),
    "runs:log": ("GET", {"level": "ERROR"}, 200),
    "runs:log-text": ("GET", {}, 200),
    "runs:graph": ("GET", {}, 200),
    "runs:changes": ("GET", {}, 200),
    "runs:task": ("GET", {"id": "load"}, 200),
    "runs:artifact": ("GET", {"task": "load", "name": "no such"}, 404),
    "runs:artifact-download": ("GET", {"task": "load", "name": "no such"}, 404),
    "secrets:list": ("GET", {}, 200),
    "secrets:new": ("GET", {}, 200),
    "secrets:delete": ("POST", {"org_id": "org_blue", "name": "NONE"}, 404),
    "schedules:list": ("GET", {}, 200),
    "schedules:new": ("GET", {}, 200),
    "schedules:schedule": ("GET", {}, 200),
    "schedules:pause": ("POST", {"paused": "1"}, 302),
    "schedules:delete": ("POST", {}, 302),
    "channels:list": ("GET", {}, 200),
    "channels:new": ("GET", {}, 200),
    "channels:channel": ("GET", {}, 200),
    "channels:test": ("POST", {}, 302),
    "channels:ask": ("POST", {}, 302),
    "channels:rotate": ("POST", {}, 409),
    "channels:delete": ("POST", {}, 302),
    "deliveries:list": ("GET", {}, 200),
    "rules:list": ("GET", {}, 200),
    "rules:new": ("GET", {}, 200),
    "rules:rule": ("GET", {}, 200),
    "rules:preview": ("POST", {}, 200),
    "rules:preview-change": ("POST", {}, 200),
    "rules:why": ("GET", {}, 200),
    "rules:history": ("GET", {}, 200),
    "rules:delete": ("POST", {}, 302),
    "silences:list": ("GET", {}, 200),
    "silences:new": ("GET", {}, 200),
    "silences:silence": ("GET", {}, 200),
    "silences:end": ("POST", {}, 302),
    "rotations:list": ("GET", {}, 200),
    "rotations:new": ("GET", {}, 200),
    "rotations:rotation": ("GET", {}, 200),
    "rotations:change": ("GET", {}, 200),
    "rotations:delete": ("POST", {}, 302),
    "rotations:override": ("POST", {"channel_id": "{turn}", "until": "5d", "starts_at": "4d"}, 302),
    "rotations:override-end": ("POST", {}, 302),
    "alerts:list": ("GET", {}, 200),
    "alerts:alert": ("GET", {}, 200),
    "alerts:acknowledge": ("POST", {}, 302),
    "alerts:unacknowledge": ("POST", {}, 302),
    "alerts:resolve": ("POST", {}, 302),
    "deliveries:resend": ("POST", {}, 302),
    "runs:stuck": ("GET", {}, 200),
    "runs:many": ("GET", {"q": "status:QUEUED"}, 200),
    "runs:new": ("GET", {}, 200),
    "runs:cancel": ("POST", {}, 302),
    "runs:retry": ("POST", {}, 302),
}
GIVEN_OPERATIONS = {
    "POST /auth/login": ({"email": "alice@dagy.example", "password": PASSWORD}, 200),
    "POST /auth/logout": ({}, 204),
    "GET /me": ({}, 200),
    "GET /users/me": ({}, 200),
    "GET /team/members": ({}, 200),
    "POST /team/invitations": ({"email": "new@blue.example", "org_id": "org_blue"}, 201),
    "PATCH /team/members/{user_id}": ({"role": "admin", "org_id": "org_blue"}, 200),
    "DELETE /team/members/{user_id}": ({"?": "org_id=org_blue"}, 204),
    "GET /admin/customers": ({"limit": "5"}, 200),
    "GET /admin/customers/{org_id}": ({}, 200),
    "GET /admin/customers/{org_id}/suspension-preview": ({}, 200),
    "POST /admin/customers/{org_id}/suspend": ({"reason": "unpaid since June"}, 200),
    "POST /admin/customers/{org_id}/unsuspend": ({"reason": "paid in July"}, 409),
    "GET /admin/sessions": ({}, 200),
    "DELETE /admin/sessions/{session_id}": ({}, 204),
    "POST /admin/sessions/revoke": ({"email": "bob@blue.example", "reason": "a stolen laptop"}, 200),
    "POST /admin/impersonations": ({"email": "bob@blue.example", "reason": "Ticket 4711"}, 201),
    "GET /admin/impersonations": ({}, 200),
    "DELETE /admin/impersonations/{impersonation_id}": ({}, 204),
    "POST /api-keys": ({"name": "CI"}, 201),
    "GET /api-keys": ({}, 200),
    "DELETE /api-keys/{api_key_id}": ({}, 204),
    "GET /flows": ({}, 200),
    "GET /flows/{flow_id}": ({}, 200),
    "POST /deployments": ({"?": f"entrypoint=flows.py:nightly&sha256={'0' * 64}"}, 422),
    "GET /deployments": ({}, 200),
    "GET /runs": ({"status": "FAILED"}, 200),
    "POST /runs": ({"flow": "nightly"}, 422),
    "GET /secrets": ({}, 200),
    "PUT /secrets/{name}": ({"value": "hunter2hunter2"}, 422),
    "DELETE /secrets/{name}": ({"?": "org_id=org_blue"}, 404),
    "GET /notifications/channels": ({}, 200),
    "POST /notifications/channels": ({"name": "x", "channel_type": "fax", "config": {}, "org_id": "org_blue"}, 422),
    "GET /notifications/channels/{channel_id}": ({}, 200),
    "PATCH /notifications/channels/{channel_id}": ({"name": "Other"}, 200),
    "DELETE /notifications/channels/{channel_id}": ({}, 204),
    "POST /notifications/channels/{channel_id}/test": ({}, 202),
    "POST /notifications/channels/{channel_id}/ask": ({}, 409),
    "POST /notifications/channels/{channel_id}/rotate": ({}, 409),
    "GET /notifications/rules": ({}, 200),
    "POST /notifications/rules/preview": (
        {
            "measure": "nothing",
            "window_seconds": 300,
            "condition": {"op": "above", "value": 1},
            "org_id": "org_blue",
        },
        422,
    ),
    "POST /notifications/rules": (
        {
            "name": "x",
            "measure": "nothing",
            "window_seconds": 300,
            "condition": {"op": "above", "value": 1},
            "org_id": "org_blue",
        },
        422,
    ),
    "GET /notifications/rules/{rule_id}": ({}, 200),
    "GET /notifications/rules/{rule_id}/why": ({}, 200),
    "PATCH /notifications/rules/{rule_id}": ({"name": "Other"}, 200),
    "DELETE /notifications/rules/{rule_id}": ({}, 204),
    "GET /notifications/alerts": ({}, 200),
    "GET /notifications/alerts/{alert_id}": ({}, 200),
    "POST /notifications/alerts/{alert_id}/acknowledge": ({}, 200),
    "POST /notifications/alerts/{alert_id}/unacknowledge": ({}, 409),
    "POST /notifications/alerts/{alert_id}/resolve": ({}, 200),
    "GET /notifications/silences": ({}, 200),
    "POST /notifications/silences": (
        {"matchers": [{"key": "rule", "value": "*"}], "until": "4h", "reason": "x", "org_id": "org_blue"},
        201,
    ),
    "DELETE /notifications/silences/{silence_id}": ({}, 204),
    "GET /notifications/rotations": ({}, 200),
    "POST /notifications/rotations": (
        {"name": "Day", "channel_ids": ["{turn}"], "time_zone": "UTC", "starts_at": "4h", "org_id": "org_blue"},
        201,
    ),
    "GET /notifications/rotations/{rotation_id}": ({}, 200),
    "PATCH /notifications/rotations/{rotation_id}": ({"name": "Other"}, 200),
    "DELETE /notifications/rotations/{rotation_id}": ({}, 204),
    "POST /notifications/rotations/{rotation_id}/overrides": (
        {"channel_id": "{turn}", "until": "5d", "starts_at": "4d"},
        201,
    ),
    "DELETE /notifications/rotations/{rotation_id}/overrides/{override_id}": ({}, 204),
    "GET /notifications/deliveries": ({}, 200),
    "POST /notifications/deliveries/{delivery_id}/resend": ({}, 409),
    "GET /schedules": ({}, 200),
    "POST /schedules": ({"flow": "nightly", "cron": "0 6 * * *"}, 422),
    "PATCH /schedules/{schedule_id}": ({"paused": True}, 200),
    "DELETE /schedules/{schedule_id}": ({}, 204),
    "POST /runs/local": ({"?": f"sha256={'0' * 64}"}, 422),
    "POST /runs/cancel": ({"q": "status:QUEUED", "expected_count": 5}, 409),
    "POST /runs/retry": ({"q": "status:FAILED", "expected_count": 5}, 409),
    "GET /runs/stuck": ({}, 200),
    "GET /runs/{run_id}": ({}, 200),
    "GET /runs/{run_id}/logs": ({}, 200),
    "GET /runs/{run_id}/artifacts": ({}, 200),
    "GET /runs/{run_id}/artifacts/{task_id}/{name}": ({}, 404),
    "POST /runs/{run_id}/cancel": ({}, 202),
    "POST /runs/{run_id}/retry": ({}, 409),
    "GET /admin/exceptions": ({"limit": "5"}, 200),
    "POST /admin/exceptions/events": ({"Records": []}, 200),
    "GET /admin/exceptions/summary": ({"q": "org:org_blue"}, 200),
    "DELETE /admin/exceptions": ({"keys": ["{key}"]}, 200),
    "POST /admin/exceptions/deletions": ({"keys": ["{key}"], "expected_count": 1}, 202),
    "GET /admin/exceptions/deletions/{job_id}": ({}, 200),
    "POST /admin/exceptions/deletions/{job_id}/cancel": ({}, 202),
    "GET /admin/exceptions/groups": ({"sort": "count"}, 200),
    "GET /admin/exceptions/groups/{fingerprint}": ({}, 200),
    "PATCH /admin/exceptions/groups/{fingerprint}": ({"status": "resolved"}, 200),
    "GET /admin/exceptions/differences": ({"q": "org:org_blue"}, 200),
    "GET /admin/exceptions/content": ({"key": "{key}"}, 200),
    "GET /admin/exceptions/download": ({"key": "{key}"}, 200),
    "GET /audit-logs": ({}, 200),
    "GET /audit-logs/{entry_id}": ({}, 200),
    "GET /demo/error": ({}, 500),
    "POST /demo/error": ({}, 500),
}
# The facts that a page's address is made of.
ARGUMENTS = {
    "exceptions:group": "fingerprint",
    "exceptions:group-analysis": "fingerprint",
    "exceptions:group-status": "fingerprint",
    "exceptions:deletion": "job",
    "exceptions:deletion-cancel": "job",
    "accounts:session-end": "session",
    "accounts:invite": "org",
    "accounts:invitation-withdraw": "invitation",
    "accounts:member": "org user",
    "accounts:member-remove": "org user",
    "api-keys:revoke": "api_key",
    "rules:rule": "rule",
    "rules:preview-change": "rule",
    "rules:why": "rule",
    "rules:history": "rule",
    "rules:delete": "rule",
    "silences:silence": "silence",
    "silences:end": "silence",
    "rotations:rotation": "rotation",
    "rotations:change": "rotation",
    "rotations:delete": "rotation",
    "rotations:override": "rotation",
    "rotations:override-end": "rotation override",
    "alerts:alert": "alert",
    "alerts:acknowledge": "alert",
    "alerts:unacknowledge": "alert",
    "alerts:resolve": "alert",
    "channels:channel": "channel",
    "channels:test": "channel",
    "channels:ask": "channel",
    "channels:rotate": "channel",
    "channels:delete": "channel",
    "deliveries:resend": "delivery",
    "schedules:schedule": "schedule",
    "schedules:pause": "schedule",
    "schedules:delete": "schedule",
    "runs:run": "run",
    "runs:many": "deed",
    "runs:log": "run",
    "runs:log-text": "run",
    "runs:graph": "run",
    "runs:changes": "run",
    "runs:task": "run",
    "runs:artifact": "run",
    "runs:artifact-download": "run",
    "runs:cancel": "run",
    "runs:retry": "run",
    "customers:customer": "org",
    "customers:suspend": "org",
    "customers:unsuspend": "org",
    "accounts:impersonation-end-other": "impersonation",
    "mfa_edit_webauthn": "passkey",
    "mfa_remove_webauthn": "passkey",
}


def test_every_page_and_every_operation_has_its_row_and_its_cells():
    assert sorted(pages()) == sorted(PAGES) == sorted(GIVEN_PAGES)
    assert operations() == sorted(OPERATIONS) == sorted(GIVEN_OPERATIONS)


@dataclass(frozen=True)
class Caller:
    """A client and the actor that it acts as."""

    client: Client
    actor: Actor | None


def _member(name: str, *places: tuple[str, Role]) -> User:
    user = User.objects.create(email=f"{name}@blue.example", name=name)
    for org_id, role in places:
        organization, _ = Organization.objects.get_or_create(id=org_id, defaults={"name": org_id})
        Membership.objects.create(user=user, organization=organization, role=role)
    return user


@pytest.fixture(scope="module")
def bucket():
    with new_bucket() as bucket:
        yield bucket


@pytest.fixture(scope="module")
def people(django_db_setup, django_db_blocker):
    """One of each kind, in a transaction around all calls of this module."""
    with django_db_blocker.unblock(), transaction.atomic():
        yield {
            "owner": _member("bob", ("org_blue", Role.OWNER)),
            "admin": _member("ada", ("org_blue", Role.ADMIN)),
            "developer": _member("dan", ("org_blue", Role.DEVELOPER)),
            "viewer": _member("vera", ("org_blue", Role.VIEWER)),
            "member of two": _member("bea", ("org_blue", Role.VIEWER), ("org_red", Role.DEVELOPER)),
            "suspended": _member("sue", ("org_grey", Role.OWNER)),
            "super admin": create_person("alice@dagy.example", super_admin=True),
        }
        transaction.set_rollback(True)


@pytest.fixture(scope="module")
def facts(bucket, people):
    """One of everything that a door is about, all of org_blue where it is an organization's."""
    key = bucket.put()
    rebuild_index()
    staff, owner = actor_of(people["super admin"]), actor_of(people["owner"])
    charlie = _member("charlie")
    job = deletion.start_key_deletion(actor=staff, keys=["exceptions/org_blue/elsewhere.json"], expected_count=1)
    Membership.objects.create(user=charlie, organization_id="org_blue", role=Role.DEVELOPER)
    invitation = team.invite(actor=owner, org_id="org_blue", email="x@x.example", role="viewer")
    acts, _ = impersonation.start(actor=staff, email=people["owner"].email, reason="Ticket 4711", minutes=15)
    browser_of(charlie)
    run = a_run("org_blue")
    TaskRun.objects.create(run=run, task_id="load", position=0, name="load", status="PENDING")
    channel = channels.create_channel(
        actor=owner, org_id="org_blue", name="Ops", channel_type="email", config={"to": ["ops@blue.example"]}
    )
    terms = Terms(name="Failed", measure="run_failed", window_seconds=300, op="above", value=0)
    rule = rules.create_rule(actor=owner, org_id="org_blue", terms=terms)
    alert = Alert.objects.create(
        rule=rule, organization_id="org_blue", status="firing", value=1, peak=1, since=timezone.now()
    )
    now = horizon()
    return {
        "key": key,
        "fingerprint": Trace.objects.get(key=key).fingerprint,
        "job": str(job.id),
        "entry": str(AuditEntry.objects.get(action="invitation.created").id),
        "now": to_rfc3339(now.at),
        "snapshot": now.snapshot,
        "org": "org_blue",
        "impersonation": str(acts.pk),
        "user": str(charlie.pk),
        "invitation": str(invitation.pk),
        "session": str(UserSession.objects.get(user=charlie).pk),
        "api_key": str(api_keys.create_api_key(actor=owner, name="CI", org_id="org_blue")[0].pk),
        "passkey": "1",
        "flow": str(run.flow_id),
        "run": str(run.pk),
        "schedule": str(a_schedule(run.flow).pk),
        "rule": str(rule.pk),
        "alert": str(alert.pk),
        "silence": str(_a_silence(owner).pk),
        **_on_call(owner),
        "channel": str(channel.pk),
        "delivery": str(channels.test_channel(actor=owner, channel_id=channel.pk).id),
        "task_id": "load",
        "deed": "cancel",
        "name": "nosuch",
    }


def _a_silence(owner):
    return silences.create_silence(
        actor=owner,
        org_id="org_blue",
        matchers=[Term("rule", "*")],
        until=timezone.now() + timedelta(hours=1),
        reason="x",
    )


def _on_call(owner):
    """A rotation of one channel, and an override of it."""
    turn = channels.create_channel(
        actor=owner, org_id="org_blue", name="Ann", channel_type="email", config={"to": ["ann@blue.example"]}
    )
    terms = rotations.Terms("Night", [turn.pk], "UTC", timezone.now())
    rotation = rotations.create_rotation(actor=owner, org_id="org_blue", terms=terms)
    override = rotations.create_override(
        actor=owner, rotation_id=rotation.pk, channel_id=turn.pk, until=timezone.now() + timedelta(hours=1)
    )
    return {"turn": str(turn.pk), "rotation": str(rotation.pk), "override": str(override.pk)}


@pytest.fixture(scope="module")
def everybody(facts, people):
    """Those with a session, and those with a token: nobody of org_grey gets in once it is suspended."""
    by_browser, by_token = _by_browser(people), _by_token(people)
    Suspension.objects.create(organization_id="org_grey", reason="unpaid", suspended_by="alice")
    suspended = actor_for(people["suspended"], Origin())
    for callers in (by_browser, by_token):
        callers["suspended"] = replace(callers["suspended"], actor=suspended)
        callers["nobody"] = Caller(Client(), None)
    return by_browser, by_token


@pytest.fixture(scope="module")
def by_browser(everybody):
    return everybody[0]


@pytest.fixture(scope="module")
def by_token(everybody):
    return everybody[1]


def _by_browser(people):
    callers = {name: Caller(browser_of(user), actor_of(user)) for name, user in people.items()}
    for name, read_only in (("looking as an owner", True), ("acting as an owner", False)):
        client = browser_of(people["super admin"])
        acts = _acts(people, read_only=read_only, session="session:matrix")[0]
        session = client.session
        session[IMPERSONATING] = str(acts.pk)
        session.save()
        callers[name] = Caller(client, replace(actor_of(people["owner"]), impersonator=_by(acts)))
    return callers


def _by_token(people):
    """Access tokens, and keys with scopes."""
    callers = {name: Caller(api_client(user), actor_of(user)) for name, user in people.items()}
    for name, read_only in (("looking as an owner", True), ("acting as an owner", False)):
        callers[name] = _bearer(_acts(people, read_only=read_only)[1])
    scopes = [Permission.TEAM_READ, Permission.AUDIT_READ, Permission.CUSTOMERS_READ]
    for name, who, org_id, more in (("key", "owner", "org_blue", ()), ("staff's key", "super admin", None, scopes[2:])):
        actor = actor_of(people[who])
        _, key = api_keys.create_api_key(actor=actor, name=name, org_id=org_id, scopes=[*scopes[:2], *more])
        callers[name] = _bearer(key)
    return callers


def _acts(people, **given):
    staff, email = actor_of(people["super admin"]), people["owner"].email
    return impersonation.start(actor=staff, email=email, reason="Ticket 4711", minutes=15, **given)


def _by(acts):
    return replace(EVERYBODY["acting as an owner"].impersonator, read_only=acts.read_only)


def _bearer(token):
    header = f"Bearer {token}"
    return Caller(Client(headers={"Authorization": header}), bearer(header, Origin()))


def filled(value, facts):
    """The given parameters with the facts of this test in them."""
    text = json.dumps(value)
    for name, fact in facts.items():
        text = text.replace(f"{{{name}}}", fact)
    return json.loads(text)


@contextmanager
def undone(client):
    """Whatever happens is taken back, so that everybody finds the same."""
    cookies = copy.deepcopy(client.cookies)
    with transaction.atomic():
        yield
        transaction.set_rollback(True)
    client.cookies = cookies


def tally():
    """What there is, but for the entries that tell of refusals."""
    models = (Trace, DeletionJob, Suspension, Impersonation, Invitation, Membership, ApiKey, UserSession)
    states = list(DeletionJob.objects.order_by("id").values_list("state", flat=True))
    return [model.objects.count() for model in models], states, AuditEntry.objects.exclude(outcome="denied").count()


def check(access, callers, call, succeeds):
    """Each answers as its row says; who is refused has changed nothing."""
    before = tally()
    for name, caller in callers.items():
        with undone(caller.client):
            answer = call(caller.client)
            status = answer.status_code
            if access.allows(caller.actor):
                assert status == succeeds or (name != "super admin" and status not in (401, 403)), f"{name}: {status}"
            elif access.token:
                assert status in (401, 403), f"{name}: {status}"
            elif caller.actor is None:
                assert status == 401 or answer["Location"].startswith("/accounts/login/?next="), f"{name}: {status}"
            else:
                assert status in (403, 404), f"{name}: {status}"
                assert tally() == before, f"{name} was refused, and has changed something"


@pytest.mark.parametrize("name", PAGES)
def test_a_page_answers_everybody_as_its_row_says(name, by_browser, facts):
    method, given, succeeds = GIVEN_PAGES[name]
    url = reverse(name, args=[facts[fact] for fact in ARGUMENTS.get(name, "").split()])
    given = filled(given, facts)
    check(
        PAGES[name], by_browser, lambda client: (client.get if method == "GET" else client.post)(url, given), succeeds
    )


@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_operation_answers_everybody_as_its_row_says(operation, by_token, facts):
    method, path = operation.split()
    given, succeeds = GIVEN_OPERATIONS[operation]
    for name, fact in facts.items():
        path = path.replace(f"{{{name}_id}}", fact).replace(f"{{{name}}}", fact)
    given = filled(given, facts)
    check(OPERATIONS[operation], by_token, lambda client: call_operation(client, method, path, given), succeeds)


def call_operation(client, method, path, given):
    if method == "GET":
        return client.get(path, given)
    query = given.get("?", "")
    given = {name: value for name, value in given.items() if name != "?"}
    return client.generic(method, f"{path}?{query}", json.dumps(given), content_type="application/json")


def test_the_page_shows_each_row(by_browser):
    page = by_browser["super admin"].client.get("/console/system/access/").content.decode()
    assert page.count("<tr>") == len(PAGES) + len(OPERATIONS) + 2
    assert "/console/customers/&lt;str:org_id&gt;/suspend/" in page and "customers.suspend" in page


def test_what_the_page_says_of_roles_is_what_the_table_of_permissions_says():
    access = OPERATIONS["POST /team/invitations"]
    allowed = {name for name, actor in EVERYBODY.items() if access.allows(actor)}
    assert allowed == {"admin", "owner", "super admin", "acting as an owner"}

"""What a person would forget: checked over the whole house."""

import ast
import inspect
import re
from datetime import timedelta
from pathlib import Path

import grimp
import pytest
from allauth.usersessions.models import UserSession
from celery import current_app
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from dagy_console import settings as settings_module
from dagy_console.accounts.api_keys import services as api_keys
from dagy_console.accounts.api_keys.selectors import visible_to as keys_visible_to
from dagy_console.accounts.impersonation import services as impersonation
from dagy_console.accounts.impersonation.selectors import visible_to as impersonations_visible_to
from dagy_console.accounts.models import Impersonation, Invitation
from dagy_console.accounts.search import API_KEYS, IMPERSONATIONS, MEMBERS, SESSIONS
from dagy_console.accounts.services import people, tokens
from dagy_console.accounts.sessions import services as sessions
from dagy_console.accounts.sessions.selectors import visible_to as sessions_visible_to
from dagy_console.accounts.team import services as team
from dagy_console.accounts.team.selectors import visible_to as members_visible_to
from dagy_console.alerts.channels import services as channels
from dagy_console.alerts.deliveries import services as deliveries
from dagy_console.alerts.firings import services as firings
from dagy_console.alerts.models import Alert, Channel, Delivery, Override, Recipient, Rotation, Rule, Silence
from dagy_console.alerts.rotations import services as rotations
from dagy_console.alerts.rules import services as rules
from dagy_console.alerts.rules.terms import Terms
from dagy_console.alerts.search import ALERTS, CHANNELS, DELIVERIES, ROTATIONS, RULES, SILENCES
from dagy_console.alerts.silences import services as silences
from dagy_console.api import api
from dagy_console.audit.models import AuditEntry
from dagy_console.audit.search import ENTRIES
from dagy_console.core.actors import SYSTEM
from dagy_console.core.database import horizon
from dagy_console.core.permissions import (
    PLATFORM_PERMISSIONS,
    ROLE_PERMISSIONS,
    SUPER_ADMIN_PERMISSIONS,
    Permission,
    Role,
)
from dagy_console.customers.search import CUSTOMERS
from dagy_console.customers.selectors import visible_to as customers_visible_to
from dagy_console.customers.services import suspension
from dagy_console.exceptions.deletions import services as deletion
from dagy_console.exceptions.deletions.selectors import visible_to as deletions_visible_to
from dagy_console.exceptions.groups import services as groups
from dagy_console.exceptions.models import DeletionJob, Trace, TraceGroup
from dagy_console.exceptions.search import DELETIONS, GROUPS, TRACES, parse
from dagy_console.exceptions.trace import services as download
from dagy_console.listing.language import Term
from dagy_console.runs.models import Run, Schedule
from dagy_console.runs.schedules import services as schedules
from dagy_console.runs.schedules.selectors import visible_to as schedules_visible_to
from dagy_console.runs.search import DEPLOYMENTS, FLOWS, RUNS, SCHEDULES, SECRETS
from dagy_console.runs.secrets import services as secrets
from dagy_console.runs.secrets.selectors import visible_to as secrets_visible_to
from dagy_console.runs.selectors import deployments_visible_to, flows_visible_to, runs_visible_to
from dagy_console.runs.services import cancelling, deploying, many, triggering
from tests.runs.support import a_run, bundle

ROOT = Path(settings_module.__file__).parent


@pytest.mark.parametrize("role", Role)
def test_no_customer_role_holds_a_power_of_the_platform(role):
    assert not ROLE_PERMISSIONS[role] & PLATFORM_PERMISSIONS
    assert PLATFORM_PERMISSIONS <= SUPER_ADMIN_PERMISSIONS


def asked_without_organization(source):
    """The lines that ask for an organization's permission and do not say for which organization."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Call(
                func=ast.Attribute(attr="require" | "can"),
                args=[ast.Attribute(value=ast.Name(id="Permission"), attr=name), *_],
                keywords=keywords,
            ) if Permission[name] not in PLATFORM_PERMISSIONS and "org_id" not in {word.arg for word in keywords}:
                yield node.lineno


def test_an_organizations_permission_is_asked_for_with_its_organization():
    assert list(asked_without_organization("actor.can(Permission.RUNS_READ)\nactor.require(Permission.AUDIT_READ)"))
    assert not list(asked_without_organization("actor.can(Permission.RUNS_READ, org_id=run.org_id)"))
    for path in ROOT.rglob("*.py"):
        assert not list(asked_without_organization(path.read_text())), path


@pytest.fixture
def a_trace(bucket, indexed):
    key = bucket.put()
    indexed()
    return key


def test_every_service_that_changes_something_records_it(as_actor, browse, alice, bob, a_trace, bucket, settings):
    settings.ARTIFACTS_BUCKET, settings.MAIL = bucket.name, {"backend": "django.core.mail.backends.locmem.EmailBackend"}
    actor = as_actor(alice)
    data, sha256 = bundle()

    def ended_again(end):
        impersonation.start(actor=actor, email=bob.email, reason="Ticket", minutes=15, session="session:x")
        end()

    calls = {
        people.create_organization: lambda: people.create_organization(actor=actor, org_id="org_x", name="X"),
        people.create_user: lambda: people.create_user(actor=actor, email="x@x.example", name="X", password="x"),
        people.set_password: lambda: people.set_password(actor=actor, user=bob, password="x"),
        people.remove_second_factors: lambda: people.remove_second_factors(actor=actor, user=bob),
        people.add_member: lambda: people.add_member(
            actor=actor, user=alice, organization=bob.memberships.get().organization, role=Role.VIEWER
        ),
        tokens.create_access_token: lambda: tokens.create_access_token(actor=actor, user=alice),
        tokens.revoke_access_token: lambda: tokens.revoke_access_token(
            actor=actor, token_id=alice.access_tokens.get().pk
        ),
        suspension.suspend: lambda: suspension.suspend(actor=actor, org_id="org_blue", reason="unpaid since June"),
        suspension.unsuspend: lambda: suspension.unsuspend(actor=actor, org_id="org_blue", reason="paid in July"),
        team.invite: lambda: team.invite(actor=actor, org_id="org_blue", email="x@x.example", role="viewer"),
        team.withdraw: lambda: team.withdraw(actor=actor, invitation_id=Invitation.objects.get().pk),
        team.change_role: lambda: team.change_role(actor=actor, org_id="org_blue", user_id=alice.pk, role="owner"),
        team.remove: lambda: team.remove(actor=actor, org_id="org_blue", user_id=alice.pk),
        sessions.end_session: lambda: sessions.end_session(
            actor=actor, session_id=[browse(bob), UserSession.objects.latest("id").pk][1]
        ),
        sessions.end_others: lambda: [browse(alice), sessions.end_others(actor=actor, keep=None)],
        sessions.end_all_own: lambda: [browse(alice), sessions.end_all_own(actor=actor)],
        sessions.revoke: lambda: sessions.revoke(actor=actor, email=bob.email, reason="a stolen laptop"),
        impersonation.start: lambda: impersonation.start(actor=actor, email=bob.email, reason="Ticket", minutes=15),
        impersonation.end: lambda: impersonation.end(
            actor=actor, impersonation_id=Impersonation.objects.get(ended_at=None).pk
        ),
        impersonation.end_of_users: lambda: ended_again(
            lambda: impersonation.end_of_users(actor=actor, users=[alice], cause="revoked")
        ),
        impersonation.end_of_session: lambda: ended_again(
            lambda: impersonation.end_of_session(actor=actor, session="session:x", cause="signed out")
        ),
        api_keys.create_api_key: lambda: api_keys.create_api_key(actor=actor, name="CI", org_id=None),
        api_keys.revoke_api_key: lambda: api_keys.revoke_api_key(actor=actor, key_id=alice.api_keys.get().pk),
        download.start_download: lambda: download.start_download(actor=actor, key=a_trace),
        download.record_reading: lambda: download.record_reading(actor=actor, key=a_trace),
        deletion.start_key_deletion: lambda: deletion.start_key_deletion(actor=actor, keys=[a_trace], expected_count=1),
        deletion.start_deletion: lambda: deletion.start_deletion(actor=actor, query=parse(""), expected_count=1),
        deletion.start_confirmed: lambda: deletion.start_confirmed(
            actor=actor, query=None, keys=[a_trace], horizon=horizon(), expected_count=1
        ),
        deletion.cancel_deletion: lambda: deletion.cancel_deletion(actor=actor, job_id=DeletionJob.objects.first().id),
        deletion.delete_keys: lambda: deletion.delete_keys(actor=actor, keys=[a_trace]),
        groups.set_status: lambda: groups.set_status(
            actor=actor, fingerprint=TraceGroup.objects.latest("last_seen").pk, status="resolved"
        ),
        deploying.deploy: lambda: deploying.deploy(
            actor=actor, org_id="org_blue", bundle=data, sha256=sha256, entrypoint="flows.py:nightly"
        ),
        triggering.trigger: lambda: triggering.trigger(
            actor=actor, org_id="org_blue", flow="nightly", parameters={"day": "2026-01-15"}
        ),
        cancelling.cancel: lambda: cancelling.cancel(actor=actor, run_id=Run.objects.get().pk),
        triggering.retry: lambda: triggering.retry(actor=actor, run_id=Run.objects.get(status="CANCELLED").pk),
        schedules.create_schedule: lambda: schedules.create_schedule(
            actor=actor, org_id="org_blue", flow="nightly", expression="0 6 * * *"
        ),
        schedules.change_schedule: lambda: schedules.change_schedule(
            actor=actor, schedule_id=Schedule.objects.get().pk, paused=True
        ),
        schedules.delete_schedule: lambda: schedules.delete_schedule(
            actor=actor, schedule_id=Schedule.objects.get().pk
        ),
        channels.create_channel: lambda: channels.create_channel(
            actor=actor, org_id="org_blue", name="Ops", channel_type="webhook", config={"url": "https://x.example/"}
        ),
        channels.change_channel: lambda: channels.change_channel(
            actor=actor, channel_id=Channel.objects.get().pk, name="Other"
        ),
        channels.rotate_secret: lambda: channels.rotate_secret(actor=actor, channel_id=Channel.objects.get().pk),
        channels.test_channel: lambda: channels.test_channel(actor=actor, channel_id=Channel.objects.get().pk),
        rules.create_rule: lambda: rules.create_rule(
            actor=actor,
            org_id="org_blue",
            terms=Terms(name="Failed", measure="run_failed", window_seconds=300, op="above", value=0),
        ),
        rules.change_rule: lambda: rules.change_rule(actor=actor, rule_id=Rule.objects.get().pk, value=2.0),
        silences.create_silence: lambda: silences.create_silence(
            actor=actor,
            org_id="org_blue",
            matchers=[Term("rule", "*")],
            until=timezone.now() + timedelta(hours=1),
            reason="deploy",
        ),
        silences.end_silence: lambda: silences.end_silence(actor=actor, silence_id=Silence.objects.get().pk),
        rotations.create_rotation: lambda: rotations.create_rotation(
            actor=actor,
            org_id="org_blue",
            terms=rotations.Terms("Night", [Channel.objects.get().pk], "Europe/Berlin", timezone.now()),
        ),
        rotations.change_rotation: lambda: rotations.change_rotation(
            actor=actor, rotation_id=Rotation.objects.get().pk, time_zone="UTC"
        ),
        rotations.create_override: lambda: rotations.create_override(
            actor=actor,
            rotation_id=Rotation.objects.get().pk,
            channel_id=Channel.objects.get().pk,
            until=timezone.now() + timedelta(hours=1),
        ),
        rotations.end_override: lambda: rotations.end_override(
            actor=actor, rotation_id=Rotation.objects.get().pk, override_id=Override.objects.get().pk
        ),
        rotations.delete_rotation: lambda: rotations.delete_rotation(
            actor=actor, rotation_id=Rotation.objects.get().pk
        ),
        firings.acknowledge: lambda: firings.acknowledge(actor=actor, alert_id=_firing().pk),
        firings.unacknowledge: lambda: firings.unacknowledge(actor=actor, alert_id=Alert.objects.get().pk),
        firings.resolve: lambda: firings.resolve(actor=actor, alert_id=Alert.objects.get().pk),
        rules.delete_rule: lambda: rules.delete_rule(actor=actor, rule_id=Rule.objects.get().pk),
        deliveries.resend: lambda: _resend(actor),
        channels.delete_channel: lambda: channels.delete_channel(actor=actor, channel_id=Channel.objects.get().pk),
        channels.ask_recipients: lambda: _ask(actor),
        secrets.keep_secret: lambda: secrets.keep_secret(
            actor=actor, org_id="org_blue", name="DB_PASSWORD", value="correct horse"
        ),
        secrets.delete_secret: lambda: secrets.delete_secret(actor=actor, org_id="org_blue", name="DB_PASSWORD"),
        many.cancel_matching: lambda: many.cancel_matching(
            actor=actor, query=RUNS.parse("status:QUEUED"), expected_count=1
        ),
        many.retry_matching: lambda: many.retry_matching(
            actor=actor, query=RUNS.parse("status:CANCELLED"), expected_count=1
        ),
        cancelling.stop: lambda: cancelling.stop(a_run("org_blue", name="weekly"), actor=actor),
    }
    runs = (deploying, triggering, cancelling, many, schedules, secrets)
    alerts = (channels, deliveries, rules, firings, silences, rotations)
    traces = (download, groups, deletion)
    modules = (people, tokens, api_keys, suspension, team, sessions, impersonation, *traces, *runs, *alerts)
    services = {
        function
        for module in modules
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if function.__module__ == module.__name__
        and not name.startswith("_")
        and "actor" in inspect.signature(function).parameters
    }
    assert services == set(calls)
    for service, call in calls.items():
        before = AuditEntry.objects.count()
        call()
        assert AuditEntry.objects.count() > before, service.__name__


def _firing():
    return Alert.objects.create(
        rule=Rule.objects.get(), organization_id="org_blue", status="firing", value=1, peak=1, since=timezone.now()
    )


def _ask(actor):
    asked = Channel.objects.create(name="Mail", channel_type="email")
    Recipient.objects.create(channel=asked, address="ops@blue.example")
    channels.ask_recipients(actor=actor, channel_id=asked.pk)


def _resend(actor):
    Delivery.objects.update(status="dead", next_at=None)
    deliveries.resend(actor=actor, delivery_id=Delivery.objects.get().id)


@pytest.mark.parametrize(
    "text", ["", *(f"{key.name}:x" for key in TRACES.keys if not key.condition), "status:open", "path:/runs*", "words"]
)
def test_no_list_scans_the_whole_table(text, db):
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO trace (timestamp, key, org_id, exception_type, message, http_method, http_path, request_id,
                               function_name, fingerprint, problems, size, etag, last_modified, indexed_at)
            SELECT now() - n * interval '1 second', 'exceptions/o/' || n, 'org_' || n % 50, 'Type' || n % 24,
                   md5(n::text), 'GET', '/runs/' || n % 400, 'req-' || n, 'fn' || n % 3, md5((n % 280)::text), '[]', 1,
                   'e', now(), now()
            FROM generate_series(1, 10000) AS n
            """
        )
        cursor.execute("ANALYZE trace")
        rows = Trace.objects.filter(parse(text).as_q()).order_by("-timestamp", "-key")[:51]
        plan = rows.explain()
    assert f"Seq Scan on trace_{timezone.now():%Y_%m}" not in plan, plan


@pytest.mark.parametrize(
    "name",
    [
        "home",
        "exceptions:list",
        "exceptions:groups",
        "audit:list",
        "exceptions:deletions",
        "customers:list",
        "api-keys:list",
        "system",
    ],
)
def test_no_page_asks_the_database_more_than_12_times(name, browse, alice, bucket, indexed):
    for _ in range(3):
        bucket.put()
    indexed()
    browser = browse(alice)
    browser.get(reverse(name))
    with CaptureQueriesContext(connection) as queries:
        assert browser.get(reverse(name)).status_code == 200
    asked = [query["sql"] for query in queries if not query["sql"].startswith(("SAVEPOINT", "RELEASE"))]
    assert len(asked) <= 12, [sql[:100] for sql in asked]


def pages_by_itself(source):
    """What only the listing room may do: make keyset pages and cursors."""
    return re.findall(r"\bKeyset\(|\bPaginator\(|\bsigning\.(?:loads|dumps)\(|[\"']next_cursor[\"']", source)


def test_every_list_is_made_in_the_listing_room():
    assert pages_by_itself('return {"items": [], "next_cursor": None}') and pages_by_itself('Keyset("at", "id")')
    for path in ROOT.rglob("*.py"):
        if (ROOT / "listing") not in path.parents:
            assert not pages_by_itself(path.read_text()), f"{path} pages by itself: declare a Listing"
    for path in (ROOT.parent / "templates").rglob("*.html"):
        if path.parent.name != "listing":
            assert "components/pager.html" not in path.read_text(), f"{path}: extend listing/page.html"
    for path, view in ((path, view) for _, router in api._routers for path, view in router.path_operations.items()):
        for operation in view.operations:
            if "cursor" in inspect.getsource(operation.view_func) and "GET" in operation.methods:
                pytest.fail(f"{path} reads a cursor by itself: take ListParams, answer list_page()")


@pytest.mark.parametrize(
    "listing",
    [
        TRACES,
        GROUPS,
        ENTRIES,
        DELETIONS,
        CUSTOMERS,
        IMPERSONATIONS,
        SESSIONS,
        MEMBERS,
        API_KEYS,
        FLOWS,
        DEPLOYMENTS,
        RUNS,
        SCHEDULES,
        SECRETS,
        CHANNELS,
        SILENCES,
        ROTATIONS,
        DELIVERIES,
        RULES,
        ALERTS,
    ],
    ids=lambda listing: listing.page,
)
def test_every_key_of_a_list_can_be_searched_by(listing, db):
    rows = {
        "exceptions:list": Trace.objects,
        "exceptions:groups": TraceGroup.objects,
        "audit:list": AuditEntry.objects,
        "exceptions:deletions": deletions_visible_to(SYSTEM),
        "customers:list": customers_visible_to(SYSTEM),
        "accounts:impersonations": impersonations_visible_to(SYSTEM),
        "accounts:sessions": sessions_visible_to(SYSTEM),
        "accounts:team": members_visible_to(SYSTEM),
        "api-keys:list": keys_visible_to(SYSTEM),
        "flows": flows_visible_to(SYSTEM),
        "deployments": deployments_visible_to(SYSTEM),
        "runs:list": runs_visible_to(SYSTEM),
        "schedules:list": schedules_visible_to(SYSTEM),
        "secrets:list": secrets_visible_to(SYSTEM),
        "channels:list": Channel.objects,
        "deliveries:list": Delivery.objects,
        "rules:list": Rule.objects,
        "alerts:list": Alert.objects,
        "silences:list": Silence.objects,
        "rotations:list": Rotation.objects,
    }[listing.page]
    for key in listing.keys:
        value = key.values[0] if key.values else {"ip": "10.0.0.1", "status": "open", "first": "-1h"}.get(key.name, "x")
        assert not rows.filter(listing.parse(f"{key.name}:{value} -{key.name}:{value}").as_q()).exists()


def test_no_view_is_longer_than_25_lines():
    for path in [*ROOT.glob("*/views.py"), *ROOT.glob("*/api.py"), ROOT / "home.py"]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef):
                lines = (node.end_lineno or 0) - node.lineno + 1
                assert lines <= 25, f"{path}: {node.name} has {lines} lines"


def test_models_hold_no_logic_and_no_signal_is_ours():
    for path in ROOT.rglob("models.py"):
        text = path.read_text()
        assert "def save(" not in text and "signals" not in text, path


def test_templates_have_no_inline_code():
    for path in (ROOT.parent / "templates").rglob("*.html"):
        text = path.read_text()
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:|\|safe\b", text), path
        assert not re.search(r"<script(?![^>]*\ssrc=)", text), path


def test_a_rolled_back_service_leaves_no_entry(as_actor, alice):
    with pytest.raises(RuntimeError), transaction.atomic():
        tokens.create_access_token(actor=as_actor(alice), user=alice)
        raise RuntimeError
    assert not AuditEntry.objects.exists()


def test_no_task_but_those_of_the_queue_outside_reaches_the_outbound_client_or_smtp() -> None:
    graph = grimp.build_graph("dagy_console", include_external_packages=True)
    modules = {module for module in graph.modules if module.endswith(".tasks")}
    assert {f"dagy_console.{name}.tasks" for name in ("core", "alerts", "exceptions", "runs")} <= modules
    for module in modules:
        for stranger in ("dagy_console.core.outbound", "smtplib", "urllib3"):
            chain = graph.find_shortest_chain(importer=module, imported=stranger) if stranger in graph.modules else None
            assert chain is None, " → ".join(chain or ())
    current_app.loader.import_default_modules()
    outside = {name for name, task in current_app.tasks.items() if task.__module__.endswith(".outside")}
    assert outside == set(settings_module.OUTSIDE_TASKS)

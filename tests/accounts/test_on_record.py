"""What people do as people is on record where its readers see it: sign-ins, sign-outs, tokens, refusals."""

from datetime import timedelta

import pytest
from django.db.models import F
from django.test import RequestFactory

from dagy_console.accounts.denials import record_denial
from dagy_console.accounts.models import DenialCount, Membership, Organization
from dagy_console.accounts.tasks import record_denials
from dagy_console.audit.models import AuditEntry
from dagy_console.core.errors import PermissionDenied
from dagy_console.core.permissions import Permission, Role
from tests.accounts.test_sign_in import login
from tests.console import PASSWORD


@pytest.fixture
def bea(vera):
    """A viewer in org_blue and a developer in org_red."""
    red, _ = Organization.objects.get_or_create(id="org_red", defaults={"name": "Red"})
    Membership.objects.create(user=vera, organization=red, role=Role.DEVELOPER)
    return vera


def entries(action):
    rows = AuditEntry.objects.filter(action=action).order_by("org_id")
    return list(rows.values_list("org_id", "actor_role"))


IN_EACH = [("org_blue", "viewer"), ("org_red", "developer")]


def test_sign_in_and_sign_out_of_a_member_of_two_organizations_are_seen_in_both(browse, bea, api, bob):
    browse(bea).post("/accounts/logout/")
    assert entries("session.created") == IN_EACH
    assert entries("session.ended") == IN_EACH
    items = api(bob).get("/audit-logs", {"actor": bea.email}).json()["items"]
    assert {(item["action"], item["org_id"]) for item in items} == {
        ("session.created", "org_blue"),
        ("session.ended", "org_blue"),
    }


def test_tokens_of_a_member_of_two_organizations_are_seen_in_both(api, bea):
    api(bea).post("/auth/logout")
    assert entries("access_token.created") == IN_EACH
    assert entries("access_token.revoked") == IN_EACH


def test_a_refusal_of_a_member_of_two_organizations_is_seen_in_both(api, bea):
    api(bea).get("/audit-logs")
    assert entries("permission.denied") == IN_EACH


def test_a_refusal_in_one_organization_is_seen_there_alone(as_actor, bea, rf):
    refused(rf, as_actor(bea), PermissionDenied(Permission.SECRETS_READ, org_id="org_red"))
    assert entries("permission.denied") == [("org_red", "developer")]


def test_what_staff_do_as_people_is_in_no_organization(browse, alice):
    browse(alice)
    assert entries("session.created") == [("", "super_admin")]


def test_a_failed_sign_in_is_a_strangers_doing_with_the_address_as_what_was_tried(client, alice):
    login(client, "Alice@dagy.example", "wrong")
    entry = AuditEntry.objects.get()
    assert (entry.actor_kind, entry.actor_id, entry.actor_email, entry.actor_role) == ("anonymous", "", "", "")
    assert (entry.resource_type, entry.resource_id) == ("user", "alice@dagy.example")
    assert entry.resource_name == "Alice@dagy.example"
    assert login(client, "alice@dagy.example", PASSWORD).status_code == 200


@pytest.fixture
def rf():
    return RequestFactory()


def refused(rf, actor, error=None):
    request = rf.get("/audit-logs")
    request.actor = actor
    record_denial(request, error or PermissionDenied(Permission.AUDIT_READ))


def pass_a_minute():
    """A test's transaction stands in one minute: its counts are moved into the one before."""
    DenialCount.objects.update(minute=F("minute") - timedelta(minutes=1))


class TestManyRefusals:
    def counts(self):
        rows = AuditEntry.objects.filter(action="permission.denied").order_by("at", "id")
        return [row.after["count"] for row in rows]

    def test_a_thousand_refusals_are_a_handful_of_entries_with_the_right_count(self, as_actor, vera, rf):
        actor = as_actor(vera)
        for _ in range(1000):
            refused(rf, actor)
        assert self.counts() == [1]
        pass_a_minute()
        record_denials()
        assert self.counts() == [1, 999]
        entry = AuditEntry.objects.get(after__count=999)
        assert (entry.actor_email, entry.org_id, entry.resource_id) == (vera.email, "org_blue", "audit.read")
        assert (entry.ip, entry.resource_name, entry.outcome) == ("203.0.113.7", "GET /audit-logs", "denied")
        assert entry.after["first"] <= entry.after["last"]

    def test_nothing_is_told_twice(self, as_actor, vera, rf):
        refused(rf, as_actor(vera)), refused(rf, as_actor(vera))
        record_denials()
        assert self.counts() == [1], "the minute is not over"
        pass_a_minute()
        record_denials(), record_denials()
        assert self.counts() == [1, 1]
        assert not DenialCount.objects.exists()

    def test_another_minute_permission_or_person_begins_a_count_of_its_own(self, as_actor, vera, charlie, rf):
        refused(rf, as_actor(vera))
        refused(rf, as_actor(charlie))
        refused(rf, as_actor(vera), PermissionDenied(Permission.EXCEPTIONS_READ))
        pass_a_minute()
        refused(rf, as_actor(vera))
        record_denials()
        assert self.counts() == [1, 1, 1, 1]

    def test_a_refusal_through_the_api_counts(self, api, vera):
        client = api(vera)
        assert {client.get("/audit-logs").status_code for _ in range(5)} == {403}
        pass_a_minute()
        record_denials()
        assert self.counts() == [1, 4]

"""From what a request brings to who acts: in one query, and true at that request."""

from datetime import timedelta

import pytest
from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from dagy_console.accounts.credentials import RESOLVERS
from dagy_console.accounts.models import AccessToken, Membership, Organization, Suspension
from dagy_console.core.permissions import Role


def suspend(org_id, **fields):
    return Suspension.objects.create(organization_id=org_id, reason="unpaid", suspended_by="alice", **fields)


@pytest.fixture
def bea(vera):
    """A viewer in org_blue and a developer in org_red."""
    red, _ = Organization.objects.get_or_create(id="org_red", defaults={"name": "Red"})
    Membership.objects.create(user=vera, organization=red, role=Role.DEVELOPER)
    return vera


def orgs_of(client):
    return [membership["org_id"] for membership in client.get("/me").json()["memberships"]]


@pytest.mark.parametrize("door", ["browse", "api"])
def test_who_acts_is_found_with_one_query_beside_the_sessions_own(request, door, bea, django_assert_max_num_queries):
    client = request.getfixturevalue(door)(bea)
    client.get("/me")
    with CaptureQueriesContext(connection) as queries:
        assert len(client.get("/me").json()["memberships"]) == 2
    assert len(queries) == (2 if door == "browse" else 1), [query["sql"] for query in queries]


@pytest.mark.parametrize("door", ["browse", "api"])
class TestTheNextRequest:
    @pytest.fixture
    def client(self, request, door, bea):
        client = request.getfixturevalue(door)(bea)
        assert orgs_of(client) == ["org_blue", "org_red"]
        return client

    def test_knows_the_role_that_was_changed(self, client, bea):
        Membership.objects.filter(user=bea, organization="org_blue").update(role=Role.OWNER)
        assert "team.write" in client.get("/me").json()["permissions"]

    def test_knows_the_membership_that_was_removed(self, client, bea):
        Membership.objects.filter(user=bea, organization="org_blue").delete()
        assert orgs_of(client) == ["org_red"]

    def test_leaves_a_suspended_organization_out(self, client):
        suspend("org_blue")
        assert orgs_of(client) == ["org_red"]

    def test_is_refused_where_all_organizations_are_suspended(self, client):
        suspend("org_blue", note="The invoice of June is open."), suspend("org_red")
        answer = client.get("/me")
        assert (answer.status_code, answer.json()["title"]) == (403, "Your organization is suspended")
        assert "The invoice of June is open." in answer.json()["detail"]

    def test_comes_in_again_once_the_time_is_over_or_the_suspension_lifted(self, client):
        suspend("org_blue", until=timezone.now() - timedelta(seconds=1))
        suspend("org_red", lifted_at=timezone.now())
        assert orgs_of(client) == ["org_blue", "org_red"]

    def test_is_nobodys_where_the_person_was_deactivated(self, client, bea):
        bea.is_active = False
        bea.save()
        assert client.get("/me").status_code == 401


@pytest.mark.parametrize("change", [{"revoked_at": timezone.now()}, {"expires_at": timezone.now()}])
def test_a_revoked_or_expired_token_opens_nothing(api, bea, change):
    client = api(bea)
    AccessToken.objects.update(**change)
    assert client.get("/me").status_code == 401


@pytest.mark.parametrize("prefix", [*RESOLVERS, "dagy_xx_", "", "eyJhbGciOiJub25lIn0."])
@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "Basic"])
def test_an_invented_token_opens_nothing(client, db, prefix, scheme):
    assert client.get("/me", headers={"Authorization": f"{scheme} {prefix}{'x' * 43}"}).status_code == 401


def test_a_token_in_the_address_opens_nothing(api, alice):
    token = api(alice).defaults["HTTP_AUTHORIZATION"].removeprefix("Bearer ")
    assert Client().get("/me", {"access_token": token}).status_code == 401


class TestASession:
    def test_that_is_forged_opens_nothing(self, client, alice):
        client.cookies["dagy"] = "a" * 32
        assert client.get("/console/").status_code == 302

    def test_ends_with_the_password_that_it_began_with(self, browse, alice):
        browser = browse(alice)
        alice.set_password("another password altogether")
        alice.save()
        assert browser.get("/console/").status_code == 302
        assert not Session.objects.exists()

    @pytest.mark.parametrize(("column", "age"), [("last_seen_at", 3601), ("created_at", 12 * 3600 + 1)])
    def test_ends_when_it_was_idle_or_in_use_for_too_long(self, browse, alice, column, age):
        browser = browse(alice)
        assert browser.get("/console/").status_code == 200
        UserSession.objects.update(**{column: timezone.now() - timedelta(seconds=age)})
        assert browser.get("/console/").status_code == 302
        assert not Session.objects.exists()

    def test_keeps_when_and_from_where_it_was_last_used_once_a_minute(self, browse, alice):
        browser = browse(alice)
        UserSession.objects.update(last_seen_at=timezone.now() - timedelta(seconds=61))
        browser.get("/console/", headers={"User-Agent": "Firefox"})
        first = UserSession.objects.get()
        assert (first.user, first.ip, first.user_agent) == (alice, "127.0.0.1", "Firefox")
        browser.get("/console/", headers={"User-Agent": "Chrome"})
        assert UserSession.objects.get().user_agent == "Firefox"
        UserSession.objects.update(last_seen_at=timezone.now() - timedelta(seconds=61))
        browser.get("/console/", headers={"User-Agent": "Chrome"})
        assert UserSession.objects.get().user_agent == "Chrome"


class TestASuspendedMember:
    @pytest.fixture
    def browser(self, browse, vera):
        browser = browse(vera)
        suspend("org_blue", note="Ask us about the invoice.", until=timezone.now() + timedelta(days=1))
        return browser

    @pytest.mark.parametrize("path", ["/console/", "/console/audit/", "/accounts/login/", "/nowhere/"])
    def test_sees_a_page_that_says_so_and_whom_to_ask_wherever_they_go(self, browser, path, settings):
        answer = browser.get(path, headers={"Accept": "text/html"})
        assert answer.status_code == 403
        if path != "/nowhere/":
            assert "Ask us about the invoice." in answer.content.decode()
            assert settings.SUPPORT_CONTACT in answer.content.decode()

    def test_may_sign_out(self, browser):
        assert browser.post("/accounts/logout/").status_code == 302
        assert browser.get("/console/")["Location"].startswith("/accounts/login/")

    def test_goes_on_where_they_were_once_it_is_lifted(self, browser):
        Suspension.objects.update(lifted_at=timezone.now())
        assert browser.get("/console/").status_code == 200

"""Acting as somebody else: what it gives, what it never gives, and all the ways in which it ends."""

import json
import re
import time
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from dagy_console.accounts.impersonation.services import start
from dagy_console.accounts.models import AccessToken, Impersonation, Membership, Organization, Suspension, User
from dagy_console.accounts.proving import PROVED_AT
from dagy_console.accounts.tasks import end_impersonations
from dagy_console.audit.models import AuditEntry
from dagy_console.core.models import OutgoingMail
from dagy_console.core.permissions import Role
from tests.console import PASSWORD, at_the_same_moment

NEW = "/console/impersonations/new/"
END = "/console/impersonations/end/"
GIVEN = {"email": "bob@blue.example", "reason": "Ticket 4711", "minutes": "15", "mode": "read"}


def ask(client, **given):
    body = {"email": "bob@blue.example", "reason": "Ticket 4711"} | given
    return client.post("/admin/impersonations", json.dumps(body), content_type="application/json")


@pytest.fixture
def browser(browse, alice, bob):
    """Alice's, who looks at Dagy as Bob."""
    browser = browse(alice)
    assert browser.post(NEW, GIVEN)["Location"] == "/console/"
    return browser


@pytest.fixture
def acting(browse, alice, bob):
    """Alice's, who acts as Bob."""
    browser = browse(alice)
    browser.post(NEW, GIVEN | {"mode": "act"})
    return browser


def me(client):
    return client.get("/me").json()


def pass_its_time():
    Impersonation.objects.update(expires_at=timezone.now() - timedelta(seconds=1))


class TestBeginning:
    def test_shows_what_the_person_sees_with_a_banner_on_every_page(self, browser):
        for path in ("/console/", "/console/audit/", "/console/nowhere/", "/console/exceptions/"):
            page = browser.get(path).content.decode()
            assert 'aria-label="Impersonation"' in page and END in page, path
            assert "bob@blue.example" in page and "read-only" in page
        assert browser.get("/console/exceptions/").status_code == 403

    def test_gives_the_persons_permissions_and_no_more(self, browser):
        told = me(browser)
        assert (told["email"], told["super_admin"]) == ("bob@blue.example", False)
        assert told["memberships"] == [{"org_id": "org_blue", "role": "owner"}]
        assert all(permission.endswith(".read") for permission in told["permissions"])
        assert told["impersonator"]["email"] == "alice@dagy.example" and told["impersonator"]["read_only"] is True

    def test_with_the_right_to_act_gives_what_the_person_may_change(self, acting):
        assert "team.write" in me(acting)["permissions"]
        assert "exceptions.read" not in me(acting)["permissions"]

    def test_is_on_record_for_the_person_s_organization_and_its_owners_get_a_mail(self, browser, alice):
        entry = AuditEntry.objects.get(action="impersonation.started")
        assert (entry.org_id, entry.actor_email, entry.reason) == ("org_blue", alice.email, "Ticket 4711")
        mail = OutgoingMail.objects.get()
        assert mail.to == ["bob@blue.example"] and "Ticket 4711" in mail.text
        assert alice.email not in mail.text

    def test_sends_no_mail_where_that_is_set_off(self, browse, alice, bob, settings):
        settings.IMPERSONATION_MAIL = False
        browse(alice).post(NEW, GIVEN)
        assert not OutgoingMail.objects.exists()

    def test_asks_who_is_there_unless_that_was_proved_minutes_ago(self, browse, alice, bob):
        browser = browse(alice)
        session = browser.session
        session[PROVED_AT] = time.time() - 1000
        session.save()
        page = browser.post(NEW, GIVEN)
        assert "Act as bob@blue.example" in page.content.decode() and not Impersonation.objects.exists()
        assert browser.post(NEW, GIVEN | {"sudo_password": PASSWORD})["Location"] == "/console/"
        assert me(browser)["email"] == "bob@blue.example"

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("email", "nobody@blue.example"),
            ("email", "alice@dagy.example"),
            ("email", "amy@dagy.example"),
            ("email", "charlie@red.example"),
            ("email", "vera@blue.example"),
            ("reason", ""),
            ("reason", "x" * 100_000),
            ("minutes", 0),
            ("minutes", 10_000),
            ("minutes", -15),
        ],
    )
    def test_never_as_a_super_admin_oneself_a_suspended_or_gone_person_nor_without_reason_or_for_long(
        self, api, browse, alice, bob, vera, charlie, field, value
    ):
        User.objects.create(email="amy@dagy.example", super_admin=True)
        User.objects.filter(pk=vera.pk).update(is_active=False)
        Suspension.objects.create(organization_id="org_red", reason="unpaid", suspended_by="x")
        answer = ask(api(alice), **{field: value})
        assert answer.status_code == 422 and answer.json()["errors"][0]["field"] == field
        page = browse(alice).post(NEW, GIVEN | {field: value})
        assert page.status_code == 422 and b'class="error"' in page.content
        assert not Impersonation.objects.exists()

    def test_is_the_staffs_alone(self, api, browse, bob, vera):
        assert ask(api(bob), email="vera@blue.example").status_code == 403
        assert browse(bob).get(NEW).status_code == 403
        assert browse(bob).post(NEW, GIVEN | {"email": "vera@blue.example"}).status_code == 403


class TestWhatItNeverGives:
    def test_read_only_changes_nothing_even_where_no_permission_is_asked(self, browser, vera):
        before = AuditEntry.objects.count()
        answer = browser.post("/console/customers/org_blue/suspend/", {"reason": "a good reason"})
        assert answer.status_code == 403
        assert AuditEntry.objects.exclude(action="permission.denied").count() == before

    def test_no_tokens_of_the_person(self, acting):
        before = AccessToken.objects.count()
        acting.post("/auth/logout")
        assert AccessToken.objects.count() == before

    def test_no_impersonation_out_of_an_impersonation(self, acting, api, alice, bob, vera):
        assert acting.post(NEW, GIVEN | {"email": "vera@blue.example"}).status_code == 403
        token = ask(api(alice), read_only=False).json()["access_token"]
        client = Client(headers={"Authorization": f"Bearer {token}"})
        assert ask(client, email="vera@blue.example").status_code == 403
        assert Impersonation.objects.count() == 2

    def test_no_proof_of_who_the_person_is(self, acting, alice):
        session = acting.session
        session[PROVED_AT] = 0
        session.save()
        answer = acting.post("/console/customers/org_blue/suspend/", {"reason": "x" * 10, "sudo_password": PASSWORD})
        assert answer.status_code == 403


class TestTheRecord:
    @pytest.fixture
    def denied(self, browser):
        browser.get("/console/exceptions/")
        return AuditEntry.objects.get(action="permission.denied")

    def test_holds_both_identities(self, denied, alice, bob):
        assert (denied.actor_email, denied.actor_role, denied.org_id) == (bob.email, "owner", "org_blue")
        assert (denied.impersonator_email, denied.impersonator_id) == (alice.email, str(alice.pk))

    def test_is_found_by_the_impersonator(self, denied, api, alice):
        items = api(alice).get("/audit-logs", {"impersonator": alice.email}).json()["items"]
        assert [item["action"] for item in items] == ["permission.denied"]
        assert items[0]["impersonator"]["email"] == alice.email

    def test_shows_members_the_staff_and_not_who_of_it_from_where(self, denied, api, alice, bob):
        client = api(bob)
        items = client.get("/audit-logs", {"action": "permission.denied"}).json()["items"]
        assert items[0]["impersonator"] == {"id": "", "email": "Dagy staff"}
        assert items[0]["actor"]["email"] == bob.email
        assert (items[0]["ip"], items[0]["user_agent"], items[0]["session_id"]) == (None, "", "")
        assert client.get("/audit-logs", {"impersonator": alice.email}).json()["items"] == []
        assert client.get("/audit-logs", {"ip": "127.0.0.1", "action": "permission.denied"}).json()["items"] == []
        assert alice.email not in json.dumps(client.get("/audit-logs").json())

    def test_is_in_the_logs_too(self, browser, capfd, settings):
        import structlog

        browser.get("/console/")
        bound = structlog.contextvars.get_contextvars()
        assert (bound["actor"], bound["impersonator"]) == ("bob@blue.example", "alice@dagy.example")


class TestItsEnd:
    def causes(self):
        return list(Impersonation.objects.values_list("cause", flat=True))

    def test_by_the_button(self, browser, alice):
        assert browser.post(END)["Location"] == "/console/impersonations/"
        assert me(browser)["email"] == alice.email
        assert self.causes() == ["they ended it"]
        entry = AuditEntry.objects.get(action="impersonation.ended")
        assert (entry.actor_email, entry.impersonator_email) == ("bob@blue.example", alice.email)
        assert browser.post(END).status_code == 302, "once more is no error"

    def test_by_time_with_a_word_about_it(self, browser, alice):
        pass_its_time()
        page = browser.get("/console/").content.decode()
        assert "You act as yourself again: its time was over." in page
        assert me(browser)["email"] == alice.email and self.causes() == ["its time was over"]

    def test_by_time_is_put_on_record_by_beat_once(self, browser):
        pass_its_time()
        end_impersonations(), end_impersonations()
        assert AuditEntry.objects.filter(action="impersonation.ended").count() == 1
        assert "its time was over" in browser.get("/console/").content.decode()

    def test_by_signing_out(self, browser):
        browser.post("/accounts/logout/")
        assert self.causes() == ["they signed out"]
        assert browser.get("/console/").status_code == 302

    def test_by_another_super_admin(self, browser, api, alice):
        row = Impersonation.objects.get()
        assert api(alice).delete(f"/admin/impersonations/{row.pk}").status_code == 204
        assert me(browser)["email"] == alice.email

    def test_by_the_persons_suspension_deactivation_or_promotion(self, browser, bob, alice):
        for change in ({"is_active": False}, {"is_active": True, "super_admin": True}):
            type(bob).objects.filter(pk=bob.pk).update(**change)
            assert browser.session.get("impersonation") is None or me(browser)["email"] == alice.email
        assert self.causes() == ["the person may not be acted as any more"]

    def test_by_the_suspension_of_all_that_the_person_belongs_to(self, browser, alice):
        Suspension.objects.create(organization_id="org_blue", reason="unpaid", suspended_by="x")
        assert me(browser)["email"] == alice.email

    def test_when_the_super_admin_is_none_any_more(self, browser, alice, bob):
        type(alice).objects.filter(pk=alice.pk).update(super_admin=False)
        assert me(browser)["email"] == alice.email and me(browser)["permissions"] == []

    def test_what_another_tab_sends_afterwards_is_not_done_as_oneself(self, alice, bob):
        """Two tabs, one ended; and what is sent just after its time was over."""
        browser = Client(enforce_csrf_checks=True)
        browser.force_login(alice, backend="allauth.account.auth_backends.AuthenticationBackend")

        def token(path="/console/"):
            return re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', browser.get(path).content.decode())[1]

        other_tab = token()
        browser.post(NEW, GIVEN | {"csrfmiddlewaretoken": token(NEW)})
        assert browser.post("/console/preferences/", {"csrfmiddlewaretoken": other_tab}).status_code == 403
        other_tab = token()
        browser.post(END, {"csrfmiddlewaretoken": token()})
        assert browser.post("/console/preferences/", {"csrfmiddlewaretoken": other_tab}).status_code == 403
        browser.post(NEW, GIVEN | {"csrfmiddlewaretoken": token(NEW)})
        open_form = token()
        pass_its_time()
        answer = browser.post("/console/preferences/", {"csrfmiddlewaretoken": open_form})
        assert answer.status_code == 403 and "Nothing was changed" in answer.content.decode()


class TestByTheApi:
    @pytest.fixture
    def given(self, api, alice, bob):
        return ask(api(alice), minutes=30).json()

    @pytest.fixture
    def client(self, given):
        return Client(headers={"Authorization": f"Bearer {given['access_token']}"})

    def test_a_token_of_its_own_kind_acts_as_the_person(self, given, client):
        assert given["access_token"].startswith("dagy_im_") and set(given) == {"id", "access_token", "expires_at"}
        assert me(client)["email"] == "bob@blue.example"
        assert given["access_token"] not in str(list(Impersonation.objects.values()))

    def test_it_ends_by_time_by_signing_out_and_by_delete(self, given, client, api, alice):
        assert client.post("/auth/logout").status_code == 204
        assert client.get("/me").status_code == 401
        again = ask(api(alice)).json()
        client = Client(headers={"Authorization": f"Bearer {again['access_token']}"})
        pass_its_time()
        assert client.get("/me").status_code == 401

    def test_it_may_end_itself_and_no_other(self, given, client, api, alice):
        other = ask(api(alice)).json()["id"]
        assert client.delete(f"/admin/impersonations/{other}").status_code == 403
        assert client.delete(f"/admin/impersonations/{given['id']}").status_code == 204
        assert client.get("/me").status_code == 401

    def test_they_are_listed_newest_first_with_state_and_cause(self, given, api, alice, bob):
        client = api(alice)
        client.delete(f"/admin/impersonations/{given['id']}")
        ask(client)
        items = client.get("/admin/impersonations").json()["items"]
        assert [(item["state"], item["user"]) for item in items] == [("active", bob.email), ("ended", bob.email)]
        assert items[1]["cause"] == "another super admin ended it"
        assert client.get("/admin/impersonations", {"state": "active"}).json()["items"] == items[:1]

    def test_one_that_is_none_is_not_found(self, api, alice):
        unknown = "00000000-0000-0000-0000-000000000000"
        assert api(alice).delete(f"/admin/impersonations/{unknown}").status_code == 404


def test_two_who_end_it_at_the_same_moment_are_on_record_once(committed, as_actor):
    alice = User.objects.create(email="alice@dagy.example", super_admin=True)
    bob = User.objects.create(email="bob@blue.example")
    Membership.objects.create(
        user=bob, organization=Organization.objects.create(id="org_blue", name="b"), role=Role.OWNER
    )
    start(actor=as_actor(alice), email=bob.email, reason="Ticket 4711", minutes=15)
    pass_its_time()
    assert at_the_same_moment(end_impersonations, end_impersonations) == [None, None]
    assert AuditEntry.objects.filter(action="impersonation.ended").count() == 1

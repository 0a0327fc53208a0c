"""Sessions: listed with device, address and last use; ended one by one, or all of a person, a customer, the staff."""

import json
from datetime import timedelta

import pytest
from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone

from dagy_console.accounts.impersonation.services import start
from dagy_console.accounts.models import Impersonation, Organization, User
from dagy_console.accounts.sessions.serializers import device
from dagy_console.accounts.sessions.services import revoke
from dagy_console.audit.models import AuditEntry
from tests.console import at_the_same_moment

REVOKE = "/console/sessions/revoke/"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"


def ask(client, **given):
    body = {"reason": "the laptop was stolen"} | given
    return client.post("/admin/sessions/revoke", json.dumps(body), content_type="application/json")


def is_in(browser):
    return browser.get("/console/").status_code == 200


def used_long_ago():
    UserSession.objects.filter(user_agent="").update(last_seen_at=timezone.now() - timedelta(minutes=2))


@pytest.fixture
def signed_in(browse):
    """A browser whose session is on record."""

    def browser(user, **headers):
        browser = browse(user)
        used_long_ago()
        browser.get("/console/", headers={"User-Agent": FIREFOX} | headers)
        return browser

    return browser


class TestTheList:
    def test_tells_person_device_address_sign_in_and_last_use(self, signed_in, api, alice, bob):
        signed_in(bob)
        (item,) = api(alice).get("/admin/sessions").json()["items"]
        assert (item["user"], item["device"], item["ip"]) == (bob.email, "Firefox on Linux", "127.0.0.1")
        assert item["signed_in_at"] <= item["last_seen_at"] and not item["super_admin"]
        page = signed_in(alice).get("/console/sessions/").content.decode()
        assert bob.email in page and "Firefox on Linux" in page and "this one" in page

    @pytest.mark.parametrize(
        ("params", "found"),
        [
            ({"user": "bob@blue.example"}, 1),
            ({"org_id": "org_blue"}, 2),
            ({"org_id": "org_red"}, 0),
            ({"ip": "127.0.0.0/8"}, 2),
            ({"q": "-user:bob@blue.example firefox"}, 1),
        ],
    )
    def test_is_searched(self, signed_in, api, alice, bob, vera, params, found):
        signed_in(bob), signed_in(vera)
        assert len(api(alice).get("/admin/sessions", params).json()["items"]) == found

    def test_leaves_out_what_opens_nothing_any_more(self, signed_in, api, alice, bob):
        signed_in(bob)
        Session.objects.update(expire_date=timezone.now() - timedelta(seconds=1))
        assert api(alice).get("/admin/sessions").json()["items"] == []

    @pytest.mark.parametrize(
        ("agent", "name"),
        [
            (FIREFOX, "Firefox on Linux"),
            ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0) Version/18.0 Mobile Safari/604.1", "Safari on iPhone"),
            ("Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537 Chrome/130.0 Safari/537 Edg/130.0", "Edge on Windows"),
            ("curl/8.5.0", "curl"),
            ("", "unknown"),
        ],
    )
    def test_says_a_device_as_people_do(self, agent, name):
        assert device(agent) == name


class TestTheEndOfOne:
    def test_counts_at_the_next_request_and_is_on_record_with_its_reason(self, signed_in, api, alice, bob):
        browser, other = signed_in(bob), signed_in(bob)
        key = browser.session.session_key
        row = UserSession.objects.get(session_key=browser.session.session_key)
        client = api(alice)
        assert client.delete(f"/admin/sessions/{row.pk}?reason=stolen").status_code == 204
        assert not is_in(browser) and is_in(other)
        entry = AuditEntry.objects.get(action="session.revoked")
        assert (entry.org_id, entry.actor_email, entry.reason) == ("org_blue", alice.email, "stolen")
        assert key not in str(vars(entry))
        assert client.delete(f"/admin/sessions/{row.pk}").status_code == 404

    def test_ends_the_impersonation_that_it_is_in(self, signed_in, api, alice, bob):
        browser = signed_in(alice)
        given = {"email": bob.email, "reason": "Ticket 4711", "minutes": "15", "mode": "read"}
        browser.post("/console/impersonations/new/", given)
        row = UserSession.objects.get(user=alice)
        api(alice).delete(f"/admin/sessions/{row.pk}")
        assert not is_in(browser)
        assert Impersonation.objects.get().cause == "their session was revoked"

    def test_of_another_is_the_staffs_alone(self, signed_in, api, alice, bob, vera):
        signed_in(vera)
        row = UserSession.objects.get()
        assert api(bob).delete(f"/admin/sessions/{row.pk}").status_code == 403
        assert signed_in(bob).post(f"/console/sessions/{row.pk}/end/").status_code == 404
        assert UserSession.objects.filter(pk=row.pk).exists()


class TestOnesOwn:
    def test_are_listed_for_everybody_and_end_one_by_one(self, signed_in, vera, bob):
        here, there = signed_in(vera), signed_in(vera)
        signed_in(bob)
        page = here.get("/console/account/sessions/").content.decode()
        assert page.count("Firefox on Linux</span>") == 2 and "this one" in page
        row = UserSession.objects.get(session_key=there.session.session_key)
        assert here.post(f"/console/sessions/{row.pk}/end/")["Location"] == "/console/account/sessions/"
        assert is_in(here) and not is_in(there)

    def test_but_this_one_end_together(self, signed_in, vera):
        here, there, yonder = signed_in(vera), signed_in(vera), signed_in(vera)
        here.post("/console/account/sessions/end-others/")
        assert is_in(here) and not is_in(there) and not is_in(yonder)
        assert AuditEntry.objects.get(action="session.revoked").after == {
            "sessions": 2,
            "access_tokens": 0,
            "impersonations": 0,
        }

    def test_of_who_is_acted_as_are_left_alone(self, signed_in, alice, bob):
        theirs = signed_in(bob)
        browser = signed_in(alice)
        given = {"email": bob.email, "reason": "Ticket 4711", "minutes": "15", "mode": "act"}
        browser.post("/console/impersonations/new/", given)
        row = UserSession.objects.get(user=bob)
        assert browser.post(f"/console/sessions/{row.pk}/end/").status_code == 403
        assert browser.post("/console/account/sessions/end-others/").status_code == 403
        assert is_in(theirs)


class TestTheEndOfMany:
    def test_of_a_person_takes_tokens_and_impersonations_too(self, signed_in, api, alice, django_user_model):
        amy = django_user_model.objects.create(email="amy@dagy.example", super_admin=True)
        browser, token = signed_in(amy), api(amy)
        acts = {"email": "vic@blue.example", "reason": "Ticket 4711"}
        django_user_model.objects.create(email="vic@blue.example")
        given = token.post("/admin/impersonations", json.dumps(acts), content_type="application/json").json()
        assert ask(api(alice), email="Amy@dagy.example").json() == {
            "sessions": 1,
            "access_tokens": 1,
            "impersonations": 1,
        }
        assert not is_in(browser) and token.get("/me").status_code == 401
        acting = Client(headers={"Authorization": f"Bearer {given['access_token']}"})
        assert acting.get("/me").status_code == 401

    def test_of_an_organization_is_of_its_members_and_of_nobody_else(self, signed_in, api, alice, bob, vera, charlie):
        blue, too, red = signed_in(bob), signed_in(vera), signed_in(charlie)
        assert ask(api(alice), org_id="org_blue").json()["sessions"] == 2
        assert not is_in(blue) and not is_in(too) and is_in(red)
        entry = AuditEntry.objects.get(action="session.revoked")
        assert (entry.org_id, entry.resource_type, entry.after["sessions"]) == ("org_blue", "organization", 2)

    def test_of_the_staff_breaks_the_glass_oneself_included(self, signed_in, alice, bob):
        browser, member = signed_in(alice), signed_in(bob)
        page = browser.get(REVOKE, {"super_admins": "1"}).content.decode()
        assert "all super admins" in page and "You are among them" in page
        browser.post(REVOKE, {"super_admins": "1", "reason": "a stolen laptop"})
        assert not is_in(browser) and is_in(member)

    def test_by_page_says_whom_it_hits_and_asks_for_a_reason(self, signed_in, alice, bob):
        theirs, browser = signed_in(bob), signed_in(alice)
        page = browser.get(REVOKE, {"email": bob.email}).content.decode()
        assert "1 session" in page and bob.email in page
        refused = browser.post(REVOKE, {"email": bob.email, "reason": ""})
        assert refused.status_code == 422 and is_in(theirs)
        assert browser.post(REVOKE, {"email": bob.email, "reason": "a stolen laptop"}).status_code == 302
        assert not is_in(theirs)

    @pytest.mark.parametrize(
        ("given", "status"),
        [
            ({"email": "nobody@blue.example"}, 422),
            ({"org_id": "org_none"}, 404),
            ({}, 422),
            ({"email": "bob@blue.example", "org_id": "org_blue"}, 422),
            ({"email": "bob@blue.example", "reason": " "}, 422),
            ({"email": "bob@blue.example", "reason": "x" * 100_000}, 422),
        ],
    )
    def test_bad_input_ends_nothing(self, signed_in, api, alice, bob, given, status):
        browser = signed_in(bob)
        assert ask(api(alice), **given).status_code == status
        assert is_in(browser)

    def test_is_the_staffs_alone(self, signed_in, api, bob, vera):
        assert ask(api(bob), email=vera.email).status_code == 403
        assert signed_in(bob).get(REVOKE, {"email": vera.email}).status_code == 403


def test_a_session_revoked_in_the_middle_of_requests_is_not_brought_back_by_them(committed, as_actor, browse):
    alice = User.objects.create(email="alice@dagy.example", super_admin=True)
    bob = User.objects.create(email="bob@blue.example")
    Organization.objects.create(id="org_blue", name="Blue")
    browser = browse(bob)
    actor = as_actor(alice)

    def ask_often():
        return [browser.get("/console/account/sessions/").status_code for _ in range(8)][-1]

    def end():
        return revoke(actor=actor, email=bob.email, reason="a stolen laptop").sessions

    *_, ended = at_the_same_moment(ask_often, ask_often, end)
    assert ended == 1
    assert browser.get("/console/").status_code == 302
    assert not Session.objects.exists()


def test_an_impersonation_by_token_ends_with_who_began_it(api, as_actor, alice, bob):
    _, token = start(actor=as_actor(alice), email=bob.email, reason="Ticket 4711", minutes=15)
    client = Client(headers={"Authorization": f"Bearer {token}"})
    assert client.get("/me").json()["email"] == bob.email
    ask(api(alice), super_admins=True)
    assert client.get("/me").status_code == 401

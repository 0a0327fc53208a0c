"""A forgotten password: a mailed link, used once, that tells nobody who has an account."""

import re
import statistics
import time
from datetime import timedelta
from functools import partial

import pytest
from django.contrib.sessions.models import Session
from django.test import Client

from dagy_console.accounts.impersonation import services as impersonation
from dagy_console.accounts.models import Suspension, User
from dagy_console.accounts.tasks import mail_reset_link
from dagy_console.audit.models import AuditEntry
from dagy_console.core.models import OutgoingMail
from tests.accounts.test_second_factor import code_of, give_totp
from tests.console import PASSWORD, at_the_same_moment, create_person

ASK = "/accounts/password/reset/"
NEW = "a new password that is long"


def ask(client, email="bob@blue.example", **headers):
    return client.post(ASK, {"email": email}, **headers)


def mailed_link(email="bob@blue.example"):
    """The path of the link that a worker mails."""
    mail_reset_link(email)
    return re.search(r"http://127.0.0.1:8000(/accounts/\S+)", OutgoingMail.objects.latest("id").text)[1]


def follow(client, link):
    """The page that the link leads to."""
    return client.get(link)["Location"]


def set_password(client, link, password=NEW):
    return client.post(follow(client, link), {"password1": password, "password2": password})


def sign_in(client, password, email="bob@blue.example"):
    return client.post("/accounts/login/", {"login": email, "password": password})


class TestAsking:
    @pytest.mark.parametrize("email", ["bob@blue.example", "nobody@blue.example", "Bob@Blue.Example"])
    def test_answers_every_address_alike_and_is_on_record_as_a_strangers_doing(self, client, bob, email):
        assert ask(client, email)["Location"] == "/accounts/password/reset/asked/"
        assert "If there is an account" in client.get("/accounts/password/reset/asked/").content.decode()
        entry = AuditEntry.objects.get(action="user.password_reset_requested")
        assert (entry.actor_kind, entry.resource_id, entry.ip) == ("anonymous", email.lower(), "127.0.0.1")

    def test_takes_as_long_for_an_unknown_address(self, client, bob, settings):
        settings.ACCOUNT_RATE_LIMITS = {}
        took = {"bob@blue.example": [], "nobody@blue.example": []}
        for _ in range(40):
            for email, times in took.items():
                started = time.perf_counter()
                ask(client, email)
                times.append(time.perf_counter() - started)
        # The quarter that nothing else on the machine has slowed down.
        known, unknown = (statistics.quantiles(times)[0] for times in took.values())
        assert 0.7 < known / unknown < 1.4

    def test_mails_nobody_who_is_unknown_deactivated_or_suspended(self, bob, vera):
        vera.is_active = False
        vera.save()
        Suspension.objects.create(organization_id="org_blue", reason="unpaid", suspended_by="x")
        for email in ("nobody@blue.example", vera.email, bob.email):
            mail_reset_link(email)
        assert not OutgoingMail.objects.exists()

    def test_often_is_slowed_down_and_locks_nobody_out_of_signing_in(self, client, bob):
        answers = [ask(client).status_code for _ in range(5)]
        assert answers[:3] == [302] * 3 and answers[-1] == 429
        assert sign_in(client, PASSWORD)["Location"] == "/console/"

    @pytest.mark.parametrize("email", ["", "no address", "a\x00b@blue.example", "x" * 100_000 + "@blue.example"])
    def test_with_no_address_says_so(self, client, db, email):
        page = ask(client, email)
        assert page.status_code == 200 and 'aria-invalid="true"' in page.content.decode()
        assert not AuditEntry.objects.exists()

    def test_is_offered_once_where_one_signs_in(self, client, db):
        page = client.get("/accounts/login/").content.decode()
        assert page.count("Forgot your password?") == page.count(f'href="{ASK}"') == 1

    def test_needs_the_csrf_token(self, db):
        assert ask(Client(enforce_csrf_checks=True)).status_code == 403

    def test_says_whom_to_ask_where_no_mails_are_sent(self, client, db, settings):
        settings.MAIL = None
        assert "sends no mails" in client.get(ASK).content.decode()


class TestTheLink:
    def test_is_of_the_consoles_own_address_whatever_host_was_asked(self, client, bob, settings):
        settings.ALLOWED_HOSTS = ["*"]
        ask(client, headers={"Host": "evil.example"})
        mailed_link()
        assert "evil.example" not in OutgoingMail.objects.get().text

    def test_sets_a_password_and_signs_nobody_in(self, client, bob):
        answer = set_password(client, mailed_link())
        assert answer["Location"] == "/accounts/password/reset/done/"
        assert client.get("/console/").status_code == 302
        assert sign_in(client, PASSWORD).status_code == 200
        assert sign_in(client, NEW)["Location"] == "/console/"
        assert AuditEntry.objects.get(action="user.password_set").session_id == "password_reset"
        assert "The password was set anew" in OutgoingMail.objects.latest("id").text

    def test_ends_what_the_person_does_as_others(self, client, alice, bob, as_actor):
        _, token = impersonation.start(actor=as_actor(alice), email=bob.email, reason="Ticket 4711", minutes=15)
        set_password(client, mailed_link(alice.email))
        assert Client(headers={"Authorization": f"Bearer {token}"}).get("/me").status_code == 401
        assert AuditEntry.objects.filter(action="impersonation.ended").count() == 1

    @pytest.mark.parametrize("who", ["bob@blue.example", "alice@dagy.example"])
    def test_signs_out_who_is_signed_in_where_it_is_opened(self, browse, alice, bob, who):
        browser = browse(User.objects.get(email=who))
        assert set_password(browser, mailed_link())["Location"] == "/accounts/password/reset/done/"
        assert browser.get("/console/").status_code == 302

    def test_ends_all_sessions_and_tokens(self, client, browse, api, bob):
        browser, token = browse(bob), api(bob)
        set_password(client, mailed_link())
        assert browser.get("/console/").status_code == 302 and token.get("/me").status_code == 401
        assert not [row for row in Session.objects.all() if "_auth_user_id" in row.get_decoded()]

    def test_works_once(self, client, bob):
        link = mailed_link()
        set_password(client, link)
        assert "This link opens nothing" in Client().get(link).content.decode()

    def test_works_once_for_those_too_who_bring_it_at_the_same_moment(self, committed, real_hashers):
        create_person("bob@blue.example", org="org_blue")
        link = mailed_link()
        browsers = [Client() for _ in range(4)]
        forms = [{"password1": f"{NEW} {number}", "password2": f"{NEW} {number}"} for number in range(4)]
        pages = [follow(browser, link) for browser in browsers]
        sent = [partial(*each) for each in zip((one.post for one in browsers), pages, forms, strict=True)]
        assert sorted(answer.status_code for answer in at_the_same_moment(*sent)) == [302, 409, 409, 409]
        assert AuditEntry.objects.filter(action="user.password_set").count() == 1

    def test_opens_nothing_for_who_was_deactivated_or_suspended_meanwhile(self, client, bob, vera):
        links = [mailed_link(vera.email), mailed_link(bob.email)]
        User.objects.filter(pk=vera.pk).update(is_active=False)
        Suspension.objects.create(organization_id="org_blue", reason="unpaid", suspended_by="x")
        assert [client.get(link).status_code for link in links] == [404, 404]

    def test_ends_with_a_sign_in(self, client, bob):
        link = mailed_link()
        sign_in(client, PASSWORD)
        assert "This link opens nothing" in Client().get(link).content.decode()

    @pytest.mark.parametrize("to", ["https://evil.example/", "//evil.example/", "http://testserver@evil.example/"])
    def test_never_leads_to_another_site(self, client, bob, to):
        asked = client.post(f"{ASK}?next={to}", {"email": bob.email, "next": to})
        page = client.get(f"{mailed_link()}?next={to}")
        done = client.post(page["Location"], {"password1": NEW, "password2": NEW, "next": to})
        assert not [answer["Location"] for answer in (asked, page, done) if "evil" in answer["Location"]]

    def test_ends_after_an_hour(self, bob, settings):
        link = mailed_link()
        settings.PASSWORD_RESET_TIMEOUT = timedelta(seconds=-1).total_seconds()
        assert "This link opens nothing" in Client().get(link).content.decode()

    def test_ends_with_a_password_that_is_changed_meanwhile(self, client, bob):
        link = mailed_link()
        bob.set_password("another password altogether")
        bob.save()
        assert "This link opens nothing" in client.get(link).content.decode()

    @pytest.mark.parametrize(
        "password", ["", "short", "password1234", "bob@blue.example", "x\x00" * 8, "aB3 " * 25_000]
    )
    def test_takes_no_weak_password_and_shows_the_rules(self, client, bob, password):
        page = set_password(client, mailed_link(), password)
        assert page.status_code == 200 and "at least 12 characters" in page.content.decode()
        assert sign_in(client, PASSWORD)["Location"] == "/console/"

    def test_leaves_the_second_factor_as_it_is(self, client, bob):
        secret = give_totp(bob)
        set_password(client, mailed_link())
        assert sign_in(client, NEW)["Location"].startswith("/accounts/2fa/")
        assert client.get("/console/").status_code == 302
        assert client.post("/accounts/2fa/", {"code": code_of(secret)})["Location"] == "/console/"

    @pytest.mark.parametrize("path", ["x/y/", "1/set-password/", "zzzzzzzzzzzzz/a-b/", "%00/%00/"])
    def test_an_invented_one_opens_nothing(self, client, db, path):
        assert client.get(ASK + path).status_code in (200, 404)

"""API keys: what they open, what narrows and ends them, and that nobody gets more by one than they have."""

import json
import re
import uuid
from datetime import datetime, timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from dagy.capture.scrub import Scrubber
from dagy_console.accounts import tokens
from dagy_console.accounts.models import ApiKey, Impersonation, Membership, Organization, Suspension
from dagy_console.audit.models import AuditEntry
from dagy_console.core.permissions import ROLE_PERMISSIONS, Role


def post(client, path="/api-keys", **body):
    return client.post(path, json.dumps(body), content_type="application/json")


def make(client, **body):
    answer = post(client, **{"name": "CI"} | body)
    assert answer.status_code == 201, answer.json()
    return answer.json()


def with_key(made):
    return Client(headers={"Authorization": f"Bearer {made['key']}"})


def errors_of(answer):
    assert answer.status_code == 422, answer.content
    return {error["field"]: error["message"] for error in answer.json()["errors"]}


def in_days(days):
    return (timezone.now() + timedelta(days=days)).isoformat()


@pytest.fixture
def owner(api, bob):
    return api(bob)


@pytest.fixture
def staff(api, alice):
    return api(alice)


class TestTheForm:
    def test_is_a_prefix_and_base62_with_a_checksum(self):
        made = {tokens.new_api_key() for _ in range(200)}
        assert len(made) == 200
        assert all(re.fullmatch(r"dagy_sk_[0-9A-Za-z]{40}[0-9A-Za-z]{6}", key) for key in made)
        assert all(map(tokens.is_api_key, made))

    def test_the_checksum_is_crc32_in_base62_with_zeros_in_front(self):
        assert tokens._checksum("") == "000000"
        digits = [tokens._BASE62.index(digit) for digit in tokens._checksum("123456789")]
        number = sum(digit * 62**place for place, digit in enumerate(reversed(digits)))
        assert number == 0xCBF43926, "the check value that CRC-32 is published with"

    def test_any_single_wrong_character_is_noticed(self):
        key = tokens.new_api_key()
        for place in range(len("dagy_sk_"), len(key)):
            other = "x" if key[place] != "x" else "y"
            assert not tokens.is_api_key(key[:place] + other + key[place + 1 :])

    def test_what_is_cut_off_or_longer_is_noticed(self):
        key = tokens.new_api_key()
        assert not any(map(tokens.is_api_key, (key[:-1], key + "0", key + "\n", key.upper(), " " + key, "")))

    def test_a_key_is_scrubbed_out_of_traces(self):
        assert tokens.API_KEY + "0" not in Scrubber().text(f"key {tokens.new_api_key()} was sent", [0])


def test_a_wrong_checksum_costs_no_query(client, owner, django_assert_num_queries):
    key = make(owner)["key"]
    for wrong in (key[:-1] + ("x" if key[-1] != "x" else "y"), "dagy_sk_", key[:-6]):
        with django_assert_num_queries(0):
            assert client.get("/me", headers={"Authorization": f"Bearer {wrong}"}).status_code == 401


def test_a_new_key_is_shown_once_and_kept_as_its_digest(owner):
    made = make(owner)
    assert made["key"].startswith(made["start"]) and made["key"].endswith(made["last_four"])
    assert made["org_id"] == "org_blue" and made["scopes"] is None and made["state"] == "active"
    (listed,) = owner.get("/api-keys").json()["items"]
    assert listed == {name: value for name, value in made.items() if name != "key"}
    for table in ("accounts_apikey", "audit_entry", "core_idempotentanswer"):
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT coalesce(string_agg(to_jsonb(t)::text, ''), '') FROM {table} t")
            assert made["key"] not in cursor.fetchone()[0]


def test_a_repetition_with_its_idempotency_key_shows_the_same_key_and_keeps_it_encrypted(owner):
    body, headers = json.dumps({"name": "CI"}), {"Idempotency-Key": "k"}
    answers = [owner.post("/api-keys", body, content_type="application/json", headers=headers) for _ in range(2)]
    assert answers[0].json() == answers[1].json() and answers[1]["Idempotent-Replayed"] == "true"
    assert ApiKey.objects.count() == 1
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_jsonb(t)::text FROM core_idempotentanswer t")
        assert answers[0].json()["key"] not in cursor.fetchone()[0]


def test_a_key_acts_as_its_creator_in_its_organization(owner, bob):
    red, _ = Organization.objects.get_or_create(id="org_red", defaults={"name": "Red"})
    Membership.objects.create(user=bob, organization=red, role=Role.OWNER)
    me = with_key(make(owner, org_id="org_blue")).get("/me").json()
    assert me["email"] == bob.email and me["memberships"] == [{"org_id": "org_blue", "role": "owner"}]
    assert me["permissions"] == sorted(ROLE_PERMISSIONS[Role.OWNER])
    assert errors_of(post(owner, name="CI"))["org_id"] == "say for which organization: org_blue, org_red"


def test_scopes_narrow_it(owner):
    program = with_key(make(owner, scopes=["runs.read", "audit.read", "runs.read"]))
    assert program.get("/me").json()["permissions"] == ["audit.read", "runs.read"]
    assert program.get("/audit-logs").status_code == 200
    assert program.get("/api-keys").status_code == 403


def test_what_a_key_does_is_recorded_as_its_creators_by_the_key(owner, bob):
    made = make(owner)
    make(with_key(made), name="second")
    entry = AuditEntry.objects.filter(action="api_key.created").latest("at")
    assert (entry.actor_kind, entry.actor_email, entry.session_id) == ("api_key", bob.email, f"api_key:{made['id']}")
    assert entry.org_id == "org_blue" and entry.resource_name.startswith("second …")
    assert entry.after["scopes"] is None and entry.after["created_by"] == bob.email


class TestTheNextRequest:
    @pytest.fixture
    def program(self, owner):
        program = with_key(make(owner))
        assert program.get("/audit-logs").status_code == 200
        return program

    def test_knows_the_role_that_was_lowered(self, program, bob):
        bob.memberships.update(role=Role.VIEWER)
        assert program.get("/me").json()["permissions"] == sorted(ROLE_PERMISSIONS[Role.VIEWER])
        assert program.get("/audit-logs").status_code == 403

    def test_is_nobodys_where_the_membership_was_removed(self, program, bob):
        bob.memberships.all().delete()
        assert program.get("/me").status_code == 401

    def test_is_nobodys_where_the_creator_was_deactivated(self, program, bob):
        bob.is_active = False
        bob.save()
        assert program.get("/me").status_code == 401

    def test_is_refused_where_the_organization_is_suspended(self, program):
        suspension = Suspension.objects.create(organization_id="org_blue", reason="x", suspended_by="alice")
        answer = program.get("/me")
        assert (answer.status_code, answer.json()["title"]) == (403, "Your organization is suspended")
        suspension.delete()
        assert program.get("/me").status_code == 200

    @pytest.mark.parametrize("column", ["revoked_at", "expires_at"])
    def test_is_nobodys_where_it_was_revoked_or_has_expired(self, program, column):
        ApiKey.objects.update(**{column: timezone.now()})
        assert program.get("/me").status_code == 401

    def test_does_not_know_a_permission_that_there_is_no_more(self, owner):
        program = with_key(make(owner, scopes=["runs.read"]))
        ApiKey.objects.update(scopes=["runs.read", "runs.paint"])
        assert program.get("/me").json()["permissions"] == ["runs.read"]


def test_a_suspensions_preview_counts_the_keys_that_it_stops(staff, owner):
    make(owner), make(owner, name="revoked"), make(staff)
    ApiKey.objects.filter(name="revoked").update(revoked_at=timezone.now())
    assert staff.get("/admin/customers/org_blue/suspension-preview").json()["hits"]["api_keys"] == 1


class TestOfThePlatform:
    def test_a_super_admins_key_without_an_organization_sees_all(self, staff, bucket):
        made = make(staff)
        assert made["org_id"] is None
        program = with_key(made)
        assert program.get("/me").json()["super_admin"] is True
        assert program.get("/admin/exceptions").status_code == 200

    def test_it_ends_with_the_power_of_its_creator(self, staff, alice):
        program = with_key(make(staff))
        alice.super_admin = False
        alice.save()
        assert program.get("/me").status_code == 401

    def test_nobody_else_makes_or_sees_or_revokes_one(self, staff, owner, charlie, api):
        made = make(staff)
        assert owner.get("/api-keys").json()["items"] == []
        assert owner.delete(f"/api-keys/{made['id']}").status_code == 404
        assert post(api(charlie), name="CI", org_id=None).status_code == 403

    def test_a_super_admins_key_of_an_organization_holds_their_role_there_and_no_more(self, staff, alice, bob):
        assert "you are no member of org_blue" in errors_of(post(staff, name="CI", org_id="org_blue"))["org_id"]
        Membership.objects.create(user=alice, organization_id="org_blue", role=Role.DEVELOPER)
        refused = post(staff, name="CI", org_id="org_blue", scopes=["exceptions.read"])
        assert "you do not have exceptions.read in org_blue" in errors_of(refused)["scopes"]
        me = with_key(make(staff, org_id="org_blue")).get("/me").json()
        assert me["super_admin"] is False
        assert me["permissions"] == sorted(ROLE_PERMISSIONS[Role.DEVELOPER])


class TestNobodyGetsMoreThanTheyHave:
    def test_scopes_that_the_creator_lacks_are_named(self, api, bob, owner):
        bob.memberships.update(role=Role.ADMIN)
        said = errors_of(post(owner, name="CI", scopes=["runs.read", "billing.write", "exceptions.read"]))["scopes"]
        assert "billing.write, exceptions.read in org_blue" in said and "runs.read" not in said

    def test_scopes_that_do_not_exist_are_named(self, owner):
        refused = post(owner, name="CI", scopes=["runs.paint", "runs.read"])
        assert "no permission runs.paint" in errors_of(refused)["scopes"]
        assert "at least one" in errors_of(post(owner, name="CI", scopes=[]))["scopes"]

    @pytest.mark.parametrize("role", [Role.DEVELOPER, Role.VIEWER])
    def test_who_may_not_write_keys_makes_and_revokes_none(self, owner, api, vera, role):
        made = make(owner)
        vera.memberships.update(role=role)
        assert post(api(vera), name="CI", org_id="org_blue").status_code == 403
        assert api(vera).get("/api-keys").status_code == 403
        assert api(vera).delete(f"/api-keys/{made['id']}").status_code == 403
        assert with_key(made).get("/me").status_code == 200

    def test_nobody_reaches_into_another_organization(self, owner, charlie, api):
        charlie.memberships.update(role=Role.OWNER)
        made = make(owner)
        other = api(charlie)
        assert post(other, name="CI", org_id="org_blue").status_code == 403
        assert other.get("/api-keys").json()["items"] == []
        assert other.get("/api-keys", {"org_id": "org_blue"}).json()["items"] == []
        assert {other.delete(f"/api-keys/{key}").status_code for key in (made["id"], uuid.uuid4())} == {404}

    def test_a_key_makes_none_that_is_wider_than_itself(self, owner):
        narrow = with_key(make(owner, scopes=["api_keys.write", "runs.read"]))
        assert make(narrow)["scopes"] == ["api_keys.write", "runs.read"]
        assert "you do not have audit.read" in errors_of(post(narrow, name="CI", scopes=["audit.read"]))["scopes"]
        assert make(narrow, scopes=["runs.read"])["scopes"] == ["runs.read"]

    def test_a_key_makes_none_that_outlives_itself(self, owner):
        brief = make(owner, expires_at=in_days(1))
        assert make(with_key(brief))["expires_at"] == brief["expires_at"]
        assert "at most" in errors_of(post(with_key(brief), name="CI", expires_at=in_days(2)))["expires_at"]

    def test_a_super_admins_key_with_scopes_makes_none_with_more(self, staff, bucket):
        narrow = with_key(make(staff, scopes=["api_keys.write", "exceptions.read"]))
        again = with_key(make(narrow))
        assert again.get("/me").json()["permissions"] == ["api_keys.write", "exceptions.read"]

    @pytest.mark.parametrize("read_only", [True, False])
    def test_who_impersonates_makes_and_revokes_none(self, owner, alice, bob, read_only):
        made = make(owner)
        Impersonation.objects.create(
            impersonator=alice,
            user=bob,
            reason="help",
            read_only=read_only,
            digest=tokens.digest("dagy_im_x"),
            expires_at=timezone.now() + timedelta(minutes=15),
        )
        acting = Client(headers={"Authorization": "Bearer dagy_im_x"})
        assert acting.get("/me").json()["email"] == bob.email
        assert post(acting, name="CI").status_code == 403
        assert acting.delete(f"/api-keys/{made['id']}").status_code == 403
        assert ApiKey.objects.filter(revoked_at=None).count() == 1

    def test_a_key_is_no_access_token_to_log_out(self, owner):
        program = with_key(make(owner))
        assert program.post("/auth/logout").status_code == 409


class TestItsEnd:
    def test_is_90_days_ahead_by_itself(self, owner):
        end = datetime.fromisoformat(make(owner)["expires_at"])
        assert timedelta(days=89, hours=23) < end - timezone.now() <= timedelta(days=90)

    def test_may_be_chosen_up_to_a_year(self, owner):
        chosen = in_days(3)
        assert datetime.fromisoformat(make(owner, expires_at=chosen)["expires_at"]) == datetime.fromisoformat(chosen)
        end = datetime.fromisoformat(make(owner, expires_at=in_days(365))["expires_at"])
        assert end - timezone.now() <= timedelta(days=365)

    @pytest.mark.parametrize("given", [366, -1, "-7d", "soon", "", "9999-12-31", "0001-01-01"], ids=str)
    def test_is_no_nonsense(self, owner, given):
        given = in_days(given) if isinstance(given, int) else given
        assert "expires_at" in errors_of(post(owner, name="CI", expires_at=given))

    def test_revoking_is_at_once_and_twice_is_no_error_and_recorded_once(self, owner):
        made = make(owner)
        program = with_key(made)
        assert program.get("/me").status_code == 200
        assert [owner.delete(f"/api-keys/{made['id']}").status_code for _ in range(2)] == [204, 204]
        assert program.get("/me").status_code == 401
        entry = AuditEntry.objects.get(action="api_key.revoked")
        assert entry.changes.keys() == {"revoked_at"} and entry.changes["revoked_at"][0] is None
        assert owner.get("/api-keys", {"state": "revoked"}).json()["items"][0]["state"] == "revoked"

    def test_a_key_may_end_itself(self, owner):
        made = make(owner, scopes=["api_keys.write"])
        assert with_key(made).delete(f"/api-keys/{made['id']}").status_code == 204
        assert with_key(made).get("/me").status_code == 401

    @pytest.mark.parametrize("given", ["x", "1", "%00", "../me", "5cbdf7a2-57a4-4ba4-b0cb-8a4ed26e43c4"])
    def test_an_id_that_is_none_is_not_found_or_invalid(self, owner, given):
        assert owner.delete(f"/api-keys/{given}").status_code in {404, 405, 422}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": ""},
        {"name": "   "},
        {"name": "x" * 101},
        {"name": "a\x00b"},
        {"name": "\ud800"},
        {"name": 7},
        {"name": "x", "scopes": "runs.read"},
        {"name": "x", "scopes": [7]},
        {"name": "x", "scopes": ["x" * 100_000]},
        {"name": "x", "surprise": 1},
        {"name": "x", "expires_at": 7},
    ],
    ids=lambda body: str(body)[:40],
)
def test_a_bad_body_is_a_422_that_names_the_field(owner, body):
    assert errors_of(post(owner, **body))
    assert not ApiKey.objects.exists()


def test_an_organization_that_there_is_not_is_refused_like_a_foreign_one(owner):
    assert post(owner, name="CI", org_id="org_none_such").status_code == 403
    assert post(owner, name="CI", org_id="").status_code == 201, "as if it were left out"


class TestItsUse:
    def test_is_on_record_with_the_address_and_once_a_minute(self, owner, settings):
        made = make(owner)
        program = with_key(made)
        assert made["last_used_at"] is None
        program.get("/me")
        first = ApiKey.objects.get()
        assert first.last_used_ip == "127.0.0.1" and timezone.now() - first.last_used_at < timedelta(seconds=5)
        with CaptureQueriesContext(connection) as queries:
            program.get("/me")
        assert len(queries) == 1, [query["sql"] for query in queries]
        ApiKey.objects.update(last_used_at=timezone.now() - timedelta(seconds=61))
        program.get("/me")
        assert timezone.now() - ApiKey.objects.get().last_used_at < timedelta(seconds=5)

    def test_is_none_where_it_was_refused(self, owner):
        made = make(owner)
        ApiKey.objects.update(revoked_at=timezone.now())
        with_key(made).get("/me")
        assert ApiKey.objects.get().last_used_at is None

    @pytest.mark.parametrize("name", ["key", "api_key", "access_token", "token"])
    def test_in_an_address_it_opens_nothing(self, client, owner, name):
        assert client.get("/me", {name: make(owner)["key"]}).status_code == 401

    def test_opens_the_api_and_not_another_scheme(self, client, owner):
        key = make(owner)["key"]
        for header in (f"Basic {key}", key, f"Bearer  {key}", f"Bearer {key} "):
            assert client.get("/me", headers={"Authorization": header}).status_code in {200, 401}
        assert client.get("/me", headers={"Authorization": f"Basic {key}"}).status_code == 401


class TestTheList:
    def test_is_paged_and_searched(self, owner):
        for number in range(5):
            make(owner, name=f"deploy {number}")
        first = owner.get("/api-keys", {"limit": 2}).json()
        rest = owner.get("/api-keys", {"limit": 5, "cursor": first["next_cursor"]}).json()
        assert [key["name"][-1] for key in first["items"] + rest["items"]] == list("43210")
        (found,) = owner.get("/api-keys", {"q": '"deploy 3"'}).json()["items"]
        assert owner.get("/api-keys", {"last_four": found["last_four"]}).json()["items"] == [found]
        assert owner.get("/api-keys", {"surprise": 1}).status_code == 422
        assert owner.get("/api-keys", {"state": "asleep"}).status_code == 422

    def test_tells_active_from_expired_and_revoked(self, owner):
        for name in ("active", "expired", "revoked"):
            make(owner, name=name)
        ApiKey.objects.filter(name="expired").update(expires_at=timezone.now())
        ApiKey.objects.filter(name="revoked").update(revoked_at=timezone.now())
        assert {key["name"]: key["state"] for key in owner.get("/api-keys").json()["items"]} == {
            name: name for name in ("active", "expired", "revoked")
        }

    def test_of_the_staff_shows_every_organizations_keys(self, staff, owner):
        make(owner), make(staff)
        assert {key["org_id"] for key in staff.get("/api-keys").json()["items"]} == {"org_blue", None}


class TestThePages:
    FORM = "/console/account/api-keys/new/"

    @pytest.fixture
    def browser(self, browse, bob):
        return browse(bob)

    def filled(self, browser, **changes):
        shown = browser.get(self.FORM).content.decode()
        key_id = re.search(r'name="key_id" value="([^"]+)"', shown)[1]
        return {"key_id": key_id, "name": "CI", "org_id": "org_blue", "days": "30", "powers": "all"} | changes

    def test_a_key_that_is_made_there_is_shown_once(self, browser, client):
        made = browser.post(self.FORM, self.filled(browser)).content.decode()
        (key,) = set(re.findall(r"dagy_sk_[0-9A-Za-z]{46}", made))
        assert client.get("/me", headers={"Authorization": f"Bearer {key}"}).status_code == 200
        listed = browser.get("/console/account/api-keys/").content.decode()
        assert "CI" in listed and key[-4:] in listed and key not in listed

    def test_a_form_that_is_sent_twice_makes_one_key(self, browser):
        form = self.filled(browser)
        assert browser.post(self.FORM, form).status_code == 200
        again = browser.post(self.FORM, form, follow=True)
        assert "has made its key already" in again.content.decode()
        assert ApiKey.objects.count() == 1

    def test_chosen_scopes_are_kept(self, browser):
        browser.post(self.FORM, self.filled(browser, powers="some", scopes=["runs.read", "flows.read"]))
        assert ApiKey.objects.get().scopes == ["flows.read", "runs.read"]

    @pytest.mark.parametrize(
        ("changes", "said"),
        [
            ({"name": " "}, "This field is required"),
            ({"powers": "some"}, "Tick at least one."),
            ({"powers": "some", "scopes": ["exceptions.read"]}, "not one of the available choices"),
            ({"days": "4000"}, "not one of the available choices"),
            ({"org_id": "org_red"}, "not one of the available choices"),
            ({"name": "x" * 101}, "at most 100 characters"),
        ],
        ids=str,
    )
    def test_a_wrong_form_comes_back_as_it_was_filled_in(self, browser, changes, said):
        answer = browser.post(self.FORM, self.filled(browser, **changes))
        assert answer.status_code == 422
        assert said in answer.content.decode()
        assert not ApiKey.objects.exists()

    def test_revoking_asks_first(self, browser, owner):
        made = make(owner)
        page = f"/console/account/api-keys/{made['id']}/revoke/"
        assert "cannot be undone" in browser.get(page).content.decode()
        assert with_key(made).get("/me").status_code == 200
        assert "opens nothing any more" in browser.post(page, follow=True).content.decode()
        assert with_key(made).get("/me").status_code == 401

    def test_making_and_revoking_ask_who_is_there_and_go_on_with_the_form(self, browser, owner, settings):
        settings.SUDO_SECONDS = 0
        form = self.filled(browser)
        asked = browser.post(self.FORM, form)
        assert "Is it you?" in asked.content.decode() and form["key_id"] in asked.content.decode()
        assert not ApiKey.objects.exists()
        made = make(owner)
        assert "Is it you?" in browser.post(f"/console/account/api-keys/{made['id']}/revoke/").content.decode()
        assert with_key(made).get("/me").status_code == 200

    def test_a_name_that_strangers_wrote_is_text(self, browser, owner):
        make(owner, name="<script>alert(1)</script>\u202egnp.exe")
        shown = browser.get("/console/account/api-keys/").content.decode()
        assert "<script>alert" not in shown and "\u202e" not in shown

    def test_who_may_not_make_keys_is_refused(self, browse, vera):
        assert browse(vera).get(self.FORM).status_code == 403
        assert browse(vera).get("/console/account/api-keys/").status_code == 403

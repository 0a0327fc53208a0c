"""A suspended organization gets in nowhere, from the next request on, and it is all on record."""

import json
from datetime import timedelta

import pytest
from django.utils import timezone

from dagy_console.accounts.models import Membership, Organization, Suspension
from dagy_console.audit.models import AuditEntry
from dagy_console.core.actors import SYSTEM
from dagy_console.core.errors import PermissionDenied
from dagy_console.core.models import OutgoingMail
from dagy_console.core.permissions import Role
from dagy_console.customers import registry
from dagy_console.customers.services.suspension import lift_due, suspend, unsuspend
from dagy_console.customers.tasks import lift_due_suspensions
from tests.accounts.test_sign_in import login
from tests.console import PASSWORD, at_the_same_moment

PAGE = "/console/customers/org_blue/suspend/"
GIVEN = {"reason": "The invoice of June is open", "note": "Please call us.", "until": "", "running_runs": "finish"}


def post(client, path, **body):
    return client.post(path, json.dumps(body), content_type="application/json")


@pytest.fixture
def suspended(as_actor, alice, bob):
    return suspend(actor=as_actor(alice), org_id="org_blue", reason=GIVEN["reason"], note=GIVEN["note"])


class TestTheQuestion:
    def test_says_what_it_hits_and_who_gets_a_mail(self, browse, api, alice, bob, vera):
        browse(bob).get("/console/")
        api(vera)
        page = browse(alice).get(PAGE).content.decode()
        assert "2 members, 1 session, 1 access token" in page
        assert "bob@blue.example" in page

    def test_counts_who_goes_on_in_another_organization(self, api, alice, bob, charlie):
        Membership.objects.create(user=bob, organization_id="org_red", role=Role.VIEWER)
        answer = api(alice).get("/admin/customers/org_blue/suspension-preview").json()
        assert answer["hits"]["members"] == 1 and answer["members_who_go_on_elsewhere"] == 1
        assert answer["owners"] == ["bob@blue.example"]

    def test_holds_what_the_apps_register(self, api, alice, bob, monkeypatch):
        monkeypatch.setattr(registry, "hits", {})
        registry.add_hit(registry.Hit("schedules", "schedule", lambda org_id: 3))
        assert api(alice).get("/admin/customers/org_blue/suspension-preview").json()["hits"]["schedules"] == 3


class TestSuspending:
    def test_keeps_everybody_out_at_the_next_request_everywhere(self, browse, api, alice, bob, vera):
        browser, token = browse(bob), api(vera)
        assert browser.get("/console/").status_code == 200
        assert browse(alice).post(PAGE, GIVEN)["Location"] == "/console/customers/org_blue/"
        page = browser.get("/console/")
        assert page.status_code == 403 and "Please call us." in page.content.decode()
        assert token.get("/me").status_code == 403

    def test_lets_nobody_of_it_sign_in(self, client, suspended, bob):
        answer = client.post("/accounts/login/", {"login": bob.email, "password": PASSWORD})
        assert answer.status_code == 403 and "Please call us." in answer.content.decode()
        assert "sessionid" not in client.cookies and client.get("/console/").status_code == 302
        refused = login(client, bob.email, PASSWORD)
        assert (refused.status_code, refused.json()["title"]) == (403, "Your organization is suspended")
        assert login(client, bob.email, "a wrong password").status_code == 401

    def test_is_on_record_with_reason_before_and_after_and_the_owners_get_a_mail(self, suspended, alice):
        entry = AuditEntry.objects.get(action="organization.suspended")
        assert (entry.org_id, entry.actor_email, entry.reason) == ("org_blue", alice.email, GIVEN["reason"])
        assert entry.changes["suspended"] == [False, True]
        mail = OutgoingMail.objects.get()
        assert mail.to == ["bob@blue.example"] and "Please call us." in mail.text

    def test_is_read_by_its_members_as_the_doing_of_the_staff_and_of_nobody_by_name(
        self, suspended, as_actor, api, bob, alice
    ):
        unsuspend(actor=as_actor(alice), org_id="org_blue", reason="They have paid.")
        told = json.dumps(api(bob).get("/audit-logs", {"resource_type": "organization"}).json())
        assert "The invoice of June is open" in told and "They have paid." in told
        assert alice.email not in told and "Dagy staff" in told

    def test_twice_is_a_conflict_and_changes_nothing(self, suspended, api, browse, as_actor, alice):
        answer = post(api(alice), "/admin/customers/org_blue/suspend", reason="once more, please")
        assert (answer.status_code, Suspension.objects.count()) == (409, 1)
        page = browse(alice).post(PAGE, GIVEN, follow=True)
        assert "suspended already" in page.content.decode()

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("reason", ""),
            ("reason", "   a  "),
            ("reason", "x" * 100_000),
            ("reason", "nul \x00 in it"),
            ("note", "x" * 2_001),
            ("until", "yesterday"),
            ("until", "2020-01-01"),
            ("until", "999999w"),
            ("running_runs", "explode"),
        ],
    )
    def test_bad_input_says_which_field_is_wrong_and_keeps_what_was_typed(self, browse, api, alice, bob, field, value):
        answer = post(api(alice), "/admin/customers/org_blue/suspend", **GIVEN | {"until": None} | {field: value})
        assert answer.status_code == 422
        assert field in [error["field"].split(".")[-1] for error in answer.json()["errors"]]
        page = browse(alice).post(PAGE, GIVEN | {field: value})
        assert page.status_code == 422
        assert GIVEN["note"] in page.content.decode() or field == "note"
        assert not Suspension.objects.exists()

    def test_an_organization_that_is_none_is_not_found(self, api, browse, alice):
        assert post(api(alice), "/admin/customers/org_none/suspend", reason="a good reason").status_code == 404
        assert browse(alice).get("/console/customers/org_none/suspend/").status_code == 404

    def test_is_the_staffs_alone(self, as_actor, bob):
        with pytest.raises(PermissionDenied):
            suspend(actor=as_actor(bob), org_id="org_blue", reason="a good reason")
        with pytest.raises(PermissionDenied):
            unsuspend(actor=as_actor(bob), org_id="org_blue", reason="a good reason")

    def test_tells_the_apps_in_the_same_transaction(self, as_actor, alice, bob, monkeypatch):
        monkeypatch.setattr(registry, "on_suspended", [lambda suspension: 1 / 0])
        with pytest.raises(ZeroDivisionError):
            suspend(actor=as_actor(alice), org_id="org_blue", reason="a good reason")
        assert not Suspension.objects.exists() and not AuditEntry.objects.exists()


class TestLifting:
    def test_by_hand_lets_everybody_in_where_they_were(self, browse, api, alice, bob, as_actor):
        browser = browse(bob)
        suspend(actor=as_actor(alice), org_id="org_blue", reason="a good reason")
        assert browser.get("/console/").status_code == 403
        answer = browse(alice).post("/console/customers/org_blue/unsuspend/", {"reason": "They have paid."})
        assert answer["Location"] == "/console/customers/org_blue/"
        assert browser.get("/console/").status_code == 200
        entry = AuditEntry.objects.get(action="organization.unsuspended")
        assert entry.changes["suspended"] == [True, False] and entry.reason == "They have paid."

    def test_what_is_not_suspended_is_a_conflict(self, api, alice, bob):
        answer = post(api(alice), "/admin/customers/org_blue/unsuspend", reason="a good reason")
        assert answer.status_code == 409

    def test_without_a_reason_says_so(self, suspended, browse, alice):
        page = browse(alice).post("/console/customers/org_blue/unsuspend/", {"reason": " "})
        assert page.status_code == 422 and "kept on record" in page.content.decode()

    def test_by_time_opens_the_door_at_once_and_beat_writes_it_down_once(self, suspended, api, bob):
        over = timezone.now() - timedelta(seconds=1)
        Suspension.objects.update(until=over)
        assert api(bob).get("/me").status_code == 200, "no beat is waited for"
        lift_due_suspensions(), lift_due_suspensions()
        entry = AuditEntry.objects.get(action="organization.unsuspended")
        assert (entry.actor_kind, entry.org_id) == ("system", "org_blue")
        assert Suspension.objects.get().lifted_at == over
        assert OutgoingMail.objects.count() == 2

    def test_one_whose_time_is_over_may_be_suspended_anew_before_beat_comes(self, suspended, as_actor, alice):
        Suspension.objects.update(until=timezone.now() - timedelta(seconds=1))
        suspend(actor=as_actor(alice), org_id="org_blue", reason="and once more")
        assert [row.lifted_by for row in Suspension.objects.order_by("id")] == ["system", ""]


@pytest.mark.usefixtures("committed")
class TestAtTheSameMoment:
    @pytest.fixture(autouse=True)
    def organization(self, committed):
        return Organization.objects.create(id="org_race", name="Race")

    def put_in(self):
        return suspend(actor=SYSTEM, org_id="org_race", reason="a good reason")

    def lift(self):
        return unsuspend(actor=SYSTEM, org_id="org_race", reason="a good reason")

    def told(self):
        rows = AuditEntry.objects.filter(org_id="org_race").order_by("at", "id")
        return [row.action.partition(".")[2] for row in rows]

    def test_of_two_who_suspend_one_wins_and_the_other_is_told(self):
        answers = at_the_same_moment(self.put_in, self.put_in)
        assert sorted(type(answer).__name__ for answer in answers) == ["Conflict", "Suspension"]
        assert (Suspension.objects.count(), self.told()) == (1, ["suspended"])

    def test_who_suspends_and_who_lifts_come_one_after_the_other(self):
        for _ in range(5):
            at_the_same_moment(self.put_in, self.lift)
        told = self.told()
        assert told == [("suspended", "unsuspended")[place % 2] for place in range(len(told))]
        assert Suspension.objects.filter(lifted_at=None).count() == len(told) % 2

    def test_two_beats_write_the_end_down_once(self):
        self.put_in()
        Suspension.objects.update(until=timezone.now() - timedelta(seconds=1))
        at_the_same_moment(lift_due, lift_due)
        assert self.told() == ["suspended", "unsuspended"]

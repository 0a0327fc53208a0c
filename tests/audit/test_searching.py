"""The audit log in the search room: its language, its facets, and what members may find out by searching."""

from dataclasses import replace

import pytest

from dagy_console.audit import selectors
from dagy_console.audit.actions import Action, Outcome
from dagy_console.audit.recorder import record
from dagy_console.audit.search import ENTRIES
from dagy_console.core.actors import SYSTEM
from dagy_console.listing.api import ListParams, list_page
from dagy_console.listing.finding import find
from dagy_console.listing.language import Key
from dagy_console.listing.presenting import fields
from dagy_console.listing.summary import summarize


def note(actor=SYSTEM, action=Action.USER_CREATED, **fields):
    return record(action, actor=actor, **{"resource_type": "user"} | fields)


@pytest.fixture
def found(api, alice):
    """What a search finds, by name, oldest first."""

    def names(q, user=alice):
        answer = api(user).get("/audit-logs", {"q": f"{q} -action:access_token.*"})
        assert answer.status_code == 200, answer.json()
        return [item["resource_name"] for item in answer.json()["items"]][::-1]

    return names


@pytest.fixture
def record_of_three(as_actor, alice, bob):
    note(as_actor(alice), resource_id="42", resource_name="one", org_id="org_blue", reason="asked for by phone")
    note(as_actor(bob), resource_type="flow", resource_name="two", org_id="org_blue", outcome=Outcome.FAILED)
    note(SYSTEM, action=Action.DELETION_FINISHED, resource_type="deletion", resource_name="three", org_id="org_red")


@pytest.mark.parametrize(
    ("q", "names"),
    [
        ("actor:alice@dagy.example", ["one"]),
        ("-actor:alice@dagy.example", ["two", "three"]),
        ("action:user.created", ["one", "two"]),
        ("action:deletion.*", ["three"]),
        ("org:org_red org:org_blue", ["one", "two", "three"]),
        ("resource:flow", ["two"]),
        ("id:42", ["one"]),
        ("ip:203.0.113.7", ["one", "two"]),
        ("ip:203.0.113.0/24", ["one", "two"]),
        ("ip:2001:db8::/32", []),
        ("-ip:203.0.112.0/22", ["three"]),
        ("outcome:failed", ["two"]),
        ("request:test-request", ["one", "two"]),
        ("after:-1h", ["one", "two", "three"]),
        ("before:-1h", []),
        ('"by phone"', ["one"]),
        ("THREE", ["three"]),
    ],
)
def test_the_language_finds_exactly_what_it_says(found, record_of_three, q, names):
    assert found(q) == names


def test_facets_count_what_matches(as_actor, alice, record_of_three):
    actor = as_actor(alice)
    rows, listing = selectors.visible_to(actor), selectors.listing_for(actor)
    summary = summarize(rows, listing.parse("action:user.created"))
    facets = {facet.key: dict(facet.values) for facet in summary.facets}
    assert summary.total == sum(bucket.count for bucket in summary.buckets) == 2
    assert facets["actor"] == {"alice@dagy.example": 1, "bob@blue.example": 1}
    assert facets["outcome"] == {"success": 1, "failed": 1}
    assert facets["org"] == {"org_blue": 2}


class TestMembersSeeWhatStaffDidAndNotWhoOfThem:
    def test_in_the_list(self, api, bob, record_of_three):
        item = api(bob).get("/audit-logs", {"q": "id:42"}).json()["items"][0]
        assert item["actor"] == {"kind": "user", "id": "", "email": "Dagy staff", "role": "super_admin"}
        assert (item["ip"], item["user_agent"], item["session_id"]) == (None, "", "")
        assert item["reason"] == "asked for by phone"

    def test_on_the_page(self, browse, bob, record_of_three):
        page = browse(bob).get("/console/audit/").content.decode()
        assert "Dagy staff" in page and "alice@dagy.example" not in page

    @pytest.mark.parametrize("q", ["actor:alice@dagy.example", "alice", "actor:alice*"])
    def test_not_by_searching_either(self, found, bob, record_of_three, q):
        assert found(q, bob) == []

    def test_not_by_the_address(self, found, bob, record_of_three):
        assert "one" not in found("ip:203.0.113.7", bob)
        assert "one" in found('actor:"Dagy staff"', bob)


def test_a_searchable_key_is_one_line(as_actor, alice):
    more = replace(ENTRIES, keys=(*ENTRIES.keys, Key("session", "session_id", "Session", parameter="session_id")))

    class Params(ListParams, listing=more):
        pass

    actor = replace(as_actor(alice), credential="session:abc")
    note(actor, resource_name="by session")
    note(as_actor(alice), resource_name="by another")
    rows = selectors.visible_to(actor)
    names = [entry.resource_name for entry in find(rows, more.parse("session:session:abc")).rows]
    assert names == ["by session"]
    page = list_page(more, Params(session_id="session:a*"), rows, out=lambda entry: {"name": entry.resource_name})
    assert page["items"] == [{"name": "by session"}]
    assert "session" in [field["name"] for field in fields(more.query())["fields"]]

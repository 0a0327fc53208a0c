"""Groups: what people see of them, decide about them, and are told when one comes back."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone

from dagy_console.audit.models import AuditEntry
from dagy_console.exceptions.groups.selectors import pulse_of
from dagy_console.exceptions.index.reconciling import reconcile
from dagy_console.exceptions.models import GroupStatus, TraceGroup
from dagy_console.listing.rollups import roll_up

NOW = datetime(2026, 1, 15, 3, 0, tzinfo=UTC)


def traceback(function: str, kind: str = "ValueError") -> str:
    return (
        f'Traceback (most recent call last):\n  File "/srv/app/shop/{function}.py", line 7, in {function}\n{kind}: no'
    )


@pytest.fixture
def three(bucket: Any, indexed: Any) -> dict[str, str]:
    """Title -> fingerprint of three groups: one old and large, one that spreads, one new."""
    now = timezone.now()
    for number in range(5):
        bucket.put("org_blue", at=now - timedelta(days=3, minutes=number), traceback=traceback("charge"))
    bucket.put("org_blue", at=now - timedelta(minutes=2), traceback=traceback("charge"))
    for org in ("org_blue", "org_red"):
        bucket.put(org, at=now - timedelta(minutes=30), traceback=traceback("refund"))
    bucket.put("org_blue", at=now - timedelta(minutes=10), traceback=traceback("ship", "KeyError"))
    indexed()
    kept = TraceGroup.objects.filter(count__gt=0)
    return {title: fingerprint for fingerprint, title in kept.values_list("fingerprint", "title")}


def order(api: Any, sort: str) -> list[str]:
    return [item["title"] for item in api.get("/admin/exceptions/groups", {"sort": sort}).json()["items"]]


def test_groups_are_listed_in_the_order_that_is_asked_for(three, api, alice):
    client = api(alice)
    assert order(client, "") == ["ValueError · charge", "KeyError · ship", "ValueError · refund"]
    assert order(client, "last_seen") == order(client, "")
    assert order(client, "count") == ["ValueError · charge", "ValueError · refund", "KeyError · ship"]
    assert order(client, "new") == ["KeyError · ship", "ValueError · refund", "ValueError · charge"]
    assert order(client, "spreading")[0] == "ValueError · refund"
    answer = client.get("/admin/exceptions/groups", {"sort": "loudness"})
    assert answer.status_code == 422
    assert "there are last_seen, count, new, spreading" in answer.json()["detail"]


@pytest.mark.parametrize("sort", ["last_seen", "count", "new", "spreading"])
def test_pages_of_every_order_hold_each_group_once(three, api, alice, sort):
    client, seen, cursor = api(alice), [], ""
    while cursor is not None:
        page = client.get("/admin/exceptions/groups", {"sort": sort, "limit": 1, "cursor": cursor}).json()
        seen += [item["fingerprint"] for item in page["items"]]
        cursor = page["next_cursor"]
    assert sorted(seen) == sorted(three.values())
    other = client.get("/admin/exceptions/groups", {"sort": "count", "limit": 1}).json()["next_cursor"]
    assert client.get("/admin/exceptions/groups", {"sort": "new", "cursor": other}).status_code == 422


def test_a_group_says_what_it_is_and_whom_it_hits(three, api, alice):
    fingerprint = three["ValueError · refund"]
    told = api(alice).get(f"/admin/exceptions/groups/{fingerprint}").json()
    assert (told["count"], told["organizations"], told["spreading"], told["status"]) == (2, 2, 2, "open")
    assert told["canonical"] == "type ValueError\nframe shop/refund refund"
    assert api(alice).get("/admin/exceptions/groups/000000000000").status_code == 404
    found = api(alice).get("/admin/exceptions/groups", {"q": "org:org_red"}).json()["items"]
    assert [item["fingerprint"] for item in found] == [fingerprint]


def test_a_status_is_set_with_a_note_and_is_on_record(three, api, alice):
    fingerprint, client = three["KeyError · ship"], api(alice)
    path = f"/admin/exceptions/groups/{fingerprint}"
    told = client.patch(path, {"status": "resolved", "note": "fixed in 1.2"}, content_type="application/json").json()
    assert (told["status"], told["note"], told["status_by"]) == ("resolved", "fixed in 1.2", "alice@dagy.example")
    entry = AuditEntry.objects.get(action="group.changed")
    assert entry.changes == {"status": ["open", "resolved"], "note": ["", "fixed in 1.2"]}
    assert (entry.resource_id, entry.resource_name) == (fingerprint, "KeyError · ship")
    again = client.patch(path, {"status": "resolved"}, content_type="application/json")
    assert again.status_code == 200
    assert AuditEntry.objects.filter(action="group.changed").count() == 1
    listed = client.get("/admin/exceptions", {"q": "status:resolved"}).json()["items"]
    assert {item["fingerprint"] for item in listed} == {fingerprint}
    assert len(client.get("/admin/exceptions", {"q": "status:open"}).json()["items"]) == 8


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"status": "gone"},
        {"note": "x" * 2_001},
        {"status": None, "note": None},
        {"note": "\ud800"},
        {"note": "\x00"},
    ],
)
def test_a_status_that_is_none_is_refused_and_changes_nothing(three, api, alice, body):
    path = f"/admin/exceptions/groups/{three['KeyError · ship']}"
    assert api(alice).patch(path, body, content_type="application/json").status_code == 422
    assert not AuditEntry.objects.filter(action="group.changed").exists()


def test_a_resolved_group_that_comes_back_is_reopened_on_record_and_an_ignored_one_is_not(
    three, bucket, indexed, api, alice, browse
):
    client, comes_back = api(alice), three["ValueError · refund"]
    for title, status in (("ValueError · refund", "resolved"), ("KeyError · ship", "ignored")):
        client.patch(
            f"/admin/exceptions/groups/{three[title]}",
            {"status": status, "note": "1.2"},
            content_type="application/json",
        )
    bucket.put("org_red", at=timezone.now() - timedelta(hours=2), traceback=traceback("refund"))
    indexed()  # late, and from before it was resolved
    assert TraceGroup.objects.get(pk=comes_back).status == GroupStatus.RESOLVED
    bucket.put("org_red", traceback=traceback("refund"))
    bucket.put("org_red", traceback=traceback("ship", "KeyError"))
    indexed()
    told = client.get(f"/admin/exceptions/groups/{comes_back}").json()
    assert (told["status"], told["regressed"], told["note"]) == ("open", True, "1.2")
    assert TraceGroup.objects.get(pk=three["KeyError · ship"]).status == GroupStatus.IGNORED
    entry = AuditEntry.objects.get(action="group.reopened")
    assert (entry.actor_kind, entry.resource_id) == ("system", comes_back)
    assert entry.changes["status"] == ["resolved", "open"]
    page = browse(alice).get(reverse("exceptions:group", args=[comes_back])).content.decode()
    assert "came back" in page
    client.patch(f"/admin/exceptions/groups/{comes_back}", {"status": "resolved"}, content_type="application/json")
    assert not client.get(f"/admin/exceptions/groups/{comes_back}").json()["regressed"]


def test_the_page_of_a_group_leads_to_its_ends_its_traces_and_its_record(three, browse, alice):
    client = browse(alice)
    assert "ValueError · charge" in client.get(reverse("exceptions:list")).content.decode()
    page = client.get(reverse("exceptions:group", args=[three["ValueError · charge"]])).content.decode()
    for told in (
        "shop/charge charge",
        "Compare them",
        "q=group%3A",
        "A frame of the application",
        "Nothing that is on",
    ):
        assert told in page, told
    title = page.split("<title>")[1].split("</title>")[0].strip()
    assert title.startswith("Goes on · ValueError · charge")


def test_a_status_is_set_on_the_page_without_javascript(three, browse, alice):
    client, fingerprint = browse(alice), three["KeyError · ship"]
    url = reverse("exceptions:group-status", args=[fingerprint])
    page = client.post(url, {"status": "resolved", "note": "see #12"}, follow=True).content.decode()
    assert "The group is resolved." in page and "see #12" in page
    for wrong in ({"status": "x"}, {"note": "a\x00b"}):
        assert "Nothing was changed" in client.post(url, wrong, follow=True).content.decode()
    assert TraceGroup.objects.get(pk=fingerprint).status == GroupStatus.RESOLVED


def test_what_was_changed_before_the_first_trace_is_told_and_nothing_else(
    bucket, indexed, as_actor, alice, bob, charlie, browse
):
    from dagy_console.accounts.models import Membership
    from dagy_console.accounts.team import services as team

    staff = as_actor(alice)
    team.change_role(actor=staff, org_id="org_red", user_id=charlie.pk, role="viewer")
    Membership.objects.create(user=charlie, organization_id="org_blue", role="viewer")
    team.change_role(actor=staff, org_id="org_blue", user_id=charlie.pk, role="developer")
    bucket.put("org_blue", at=timezone.now(), traceback=traceback("charge"))
    indexed()
    group = TraceGroup.objects.get(title="ValueError · charge")
    page = browse(alice).get(reverse("exceptions:group", args=[group.pk])).content.decode()
    before = page.split("What changed just before")[1].split("What is different")[0]
    assert "membership.changed" in before and "developer" in before
    assert "org_red" not in before and "session." not in before


@pytest.mark.parametrize(
    ("gaps", "silence", "state", "words"),
    [
        ([12] * 9, 180, "Stopped", "It seems to have stopped: last one 3 min ago, usual gap 12 s."),
        ([12] * 9, 60, "May have stopped", "It may have stopped: last one 1 min ago, usual gap 12 s."),
        ([12] * 9, 20, "Goes on", "It goes on: last one 20 s ago, usual gap 12 s."),
        ([0.1] * 9, 3, "Goes on", "It goes on: last one just now, usual gap under 1 s."),
        ([5, 5, 86_400, 5], 30, "May have stopped", "It may have stopped: last one 30 s ago, usual gap 5 s."),
        ([], 7_200, "Once", "It happened once, 2 h ago."),
    ],
)
def test_whether_it_stopped_is_told_by_its_usual_gap(gaps, silence, state, words):
    moments = [NOW - timedelta(seconds=silence)]
    for gap in gaps:
        moments.append(moments[-1] - timedelta(seconds=gap))
    told = pulse_of(moments, now=NOW)
    assert (told.state, told.words) == (state, words)
    assert pulse_of([], now=NOW).state == "No trace kept"


def test_what_is_different_is_ranked_by_lift_from_counts_and_live(bucket, indexed, api, alice):
    old = timezone.now() - timedelta(days=2)
    for number in range(12):
        bucket.put("org_a" if number < 11 else "org_b", at=old, traceback=traceback("charge"), http_path="/pay")
        bucket.put(f"org_{number % 4}", at=old, traceback=traceback("other"), http_path="/pay" if number < 4 else "/x")
    bucket.put("org_a", at=old - timedelta(hours=5), traceback=traceback("other"))
    indexed()
    fingerprint = TraceGroup.objects.get(title="ValueError · charge").pk
    client = api(alice)
    live = client.get("/admin/exceptions/differences", {"q": f"group:{fingerprint}"}).json()
    assert (live["total_in"], live["total_out"]) == (12, 12)
    told = {(item["key"], item["value"]): item for item in live["items"]}
    assert told["org", "org_a"]["share_in"] == pytest.approx(11 / 12)
    assert (told["org", "org_a"]["share_out"], told["org", "org_a"]["lift"]) == (0, None)
    assert told["path", "/pay"]["lift"] == pytest.approx(3)
    assert ("method", "POST") not in told
    assert roll_up()
    assert client.get("/admin/exceptions/differences", {"q": f"group:{fingerprint}"}).json() == live
    assert client.get("/admin/exceptions/differences").status_code == 422
    assert client.get("/admin/exceptions/differences", {"q": "type:Nothing"}).json()["items"] == []


def test_what_traces_share_is_read_from_their_bodies(bucket, indexed, browse, alice):
    for number in range(4):
        event = {"headers": {"user-agent": f"agent-{number}"}, "query": {"page": str(number)}, "body": '{"shard": 7}'}
        message = f"no answer: node=n{number}, pool=blue"
        bucket.put("org_blue", traceback=traceback("charge"), event=event, exception_message=message)
        bucket.put("org_blue", traceback=traceback("other"), event={"body": json.dumps({"shard": number})})
    indexed()
    group = TraceGroup.objects.get(title="ValueError · charge")
    url = reverse("exceptions:group-analysis", args=[group.pk])
    part = browse(alice).get(url, headers={"HX-Request": "true"}).content.decode()
    assert "<html" not in part
    assert "4 of 4" in part and "event.body.shard" in part and "message pool" in part
    assert "user-agent" not in part and "node" not in part and "function_name" not in part
    assert "<html" in browse(alice).get(url).content.decode()


def test_two_traces_are_compared_by_what_differs(bucket, indexed, browse, alice):
    first = bucket.put("org_blue", traceback=traceback("charge"), event={"query": {"page": "1"}})
    second = bucket.put("org_red", traceback=traceback("refund"), event={"query": {"page": "2"}})
    indexed()
    page = browse(alice).get(reverse("exceptions:comparison"), {"a": first, "b": second}).content.decode()
    for told in ("org_red", "event.query.page", "in refund", "removed", "added"):
        assert told in page, told
    assert "exception_type" not in page
    same = browse(alice).get(reverse("exceptions:comparison"), {"a": first, "b": first}).content.decode()
    assert "Nothing differs." in same and "They are the same" in same
    assert browse(alice).get(reverse("exceptions:comparison"), {"a": first, "b": "nosuch"}).status_code == 404


def test_a_trace_tells_its_request_as_one_story(bucket, indexed, as_actor, alice, bob, browse):
    from dagy_console.accounts.team import services as team
    from tests.runs.support import a_run

    run = a_run("org_blue")
    team.invite(actor=as_actor(bob), org_id="org_blue", email="x@x.example", role="viewer")
    event = {"run_id": str(run.pk)}
    key = bucket.put("org_blue", request_id="test-request", traceback=traceback("charge"), event=event)
    bucket.put("org_blue", request_id="test-request", traceback=traceback("ship"))
    alone = bucket.put("org_blue", request_id="other")
    indexed()
    client = browse(alice)
    story = client.get(reverse("exceptions:trace"), {"key": key}).content.decode().split('id="story"')[1]
    assert "this trace" in story and "invitation.created" in story and "Run of nightly" in story
    assert 'id="story"' not in client.get(reverse("exceptions:trace"), {"key": alone}).content.decode()


def test_groups_from_before_titles_were_kept_are_named_by_their_latest_trace(three):
    TraceGroup.objects.update(title="ValueError", canonical="")
    reconcile()
    kept = TraceGroup.objects.filter(count__gt=0)
    assert set(kept.values_list("title", flat=True)) == set(three)
    assert not kept.filter(canonical="").exists()

"""A rule says what it would have done before it is kept, in the browser and by the API; a search becomes a rule."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dagy_console.alerts.models import Rule
from dagy_console.alerts.rules.usual import USUAL
from dagy_console.audit.models import AuditEntry
from tests.alerts.test_history import traces_at

JSON = "application/json"
NEW = "/console/alerts/rules/new/"
BODY: dict[str, Any] = {
    "measure": "exception_count", "window_seconds": 300, "condition": {"op": "above", "value": 2},
}  # fmt: skip
FORM = {
    "measure": "exception_count", "org_id": "", "query": "", "window_seconds": "300", "op": "above", "value": "2",
    "group_by": "", "for_seconds": "0", "severity": "critical", "no_data": "ok", "repeat_seconds": "0",
}  # fmt: skip
NOW = datetime.now(UTC)


@pytest.fixture
def two_storms(db: None) -> None:
    for days in (1, 3):
        traces_at(*(NOW - timedelta(days=days, seconds=second) for second in range(4)), first=days * 10)


def test_the_api_answers_the_series_and_when_it_would_have_fired(two_storms: None, api: Any, alice: Any) -> None:
    answer = api(alice).post("/notifications/rules/preview", BODY, content_type=JSON).json()
    assert [firing["peak"] for firing in answer["fired"]] == [4.0, 4.0] and answer["step_seconds"] == 10
    assert answer["said"].startswith("Would have fired 2 times in the last 7 days. It is 0 traces now")
    assert answer["warning"] is None and answer["now"] == [{"dimensions": {}, "value": 0.0, "fires": False}]
    assert max(point["value"] or 0 for point in answer["series"]) == 4.0
    assert not Rule.objects.exists() and not AuditEntry.objects.filter(resource_type="rule").exists()


@pytest.mark.parametrize(
    ("change", "warning"),
    [
        ({"query": "type:Never"}, "Nothing that it looks for"),
        ({"condition": {"op": "below", "value": 1}}, "Its condition held for 99"),
        ({"measure": "failure_rate"}, "nothing to measure"),
        ({"condition": {"op": "above", "value": 9}}, None),
    ],
)
def test_one_that_never_fires_or_always_does_says_so(
    two_storms: None, api: Any, alice: Any, change: dict[str, Any], warning: str | None
) -> None:
    answer = api(alice).post("/notifications/rules/preview", BODY | change, content_type=JSON).json()
    assert (warning in answer["warning"]) if warning else answer["warning"] is None
    if warning is None:
        assert "the most was 4 traces" in answer["said"]


def test_what_is_wrong_with_it_is_said_at_its_field(api: Any, alice: Any, bob: Any) -> None:
    wrong = api(alice).post("/notifications/rules/preview", BODY | {"query": "colour:red"}, content_type=JSON)
    assert wrong.status_code == 422 and wrong.json()["errors"][0]["field"] == "query"
    assert api(bob).post("/notifications/rules/preview", BODY, content_type=JSON).status_code == 403


def test_measures_of_the_moment_say_what_is_now(api: Any, alice: Any) -> None:
    body = BODY | {"measure": "channel_failing", "condition": {"op": "above", "value": 0}}
    answer = api(alice).post("/notifications/rules/preview", body, content_type=JSON).json()
    assert answer["said"] == "It is 0 channels now: it would not fire." and answer["fired"] is None


def test_hours_are_kept_and_taken_away(api: Any, alice: Any) -> None:
    hours = {"days": ["mon", "fri"], "from": "09:00", "to": "17:30", "time_zone": "Europe/Berlin"}
    made = api(alice).post("/notifications/rules", BODY | {"name": "Day", "hours": hours}, content_type=JSON).json()
    assert made["hours"] == hours and made["no_data"] == "ok"
    url = f"/notifications/rules/{made['id']}"
    for wrong in ({"from": "nine"}, {"time_zone": "Mars"}, {"days": []}):
        answer = api(alice).patch(url, {"hours": hours | wrong}, content_type=JSON)
        assert answer.status_code == 422 and "hours" in str(answer.json()["errors"]), answer.json()
    assert api(alice).patch(url, {"no_data": "keep"}, content_type=JSON).json()["hours"] == hours
    assert api(alice).patch(url, {"hours": None}, content_type=JSON).json()["hours"] is None


def test_the_form_shows_it_without_javascript_and_keeps_what_was_written(
    two_storms: None, browse: Any, alice: Any
) -> None:
    page = browse(alice).post("/console/alerts/rules/preview/", FORM).content.decode()
    assert "Would have fired 2 times" in page and "<svg" in page and 'class="hot"' in page
    assert 'value="2"' in page and not Rule.objects.exists()
    part = browse(alice).post("/console/alerts/rules/preview/", FORM, headers={"HX-Request": "true"}).content.decode()
    assert "Would have fired 2 times" in part and "<html" not in part
    wrong = browse(alice).post("/console/alerts/rules/preview/", FORM | {"value": "many"}).content.decode()
    assert "Write a number" in wrong


def test_times_and_shares_are_written_as_people_do(browse: Any, alice: Any) -> None:
    for name, written, meant in (("a", "2m", 120.0), ("b", "1.5 h", 5_400.0), ("c", "90s", 90.0), ("d", "20%", 20.0)):
        measure = "failure_rate" if "%" in written else "queue_wait"
        answer = browse(alice).post(NEW, FORM | {"name": name, "measure": measure, "value": written})
        assert answer.status_code == 302, answer.context["form"].errors
        assert Rule.objects.get(name=name).value == meant
    shown = browse(alice).get(f"/console/alerts/rules/{Rule.objects.get(name='b').pk}/").content.decode()
    assert "above 1 h" in shown


def test_hours_are_chosen_in_the_form(browse: Any, alice: Any) -> None:
    hours = {"hours_days": ["mon", "tue"], "hours_from": "08:00", "hours_to": "18:00", "hours_zone": "Europe/Berlin"}
    wrong = browse(alice).post(NEW, FORM | hours | {"name": "Day", "hours_zone": "Mars"})
    assert "Europe/Berlin or UTC" in wrong.content.decode()
    assert browse(alice).post(NEW, FORM | hours | {"name": "Day"}).status_code == 302
    made = Rule.objects.get()
    assert made.hours == {"days": ["mon", "tue"], "from": "08:00", "to": "18:00", "time_zone": "Europe/Berlin"}
    page = browse(alice).get(f"/console/alerts/rules/{made.pk}/").content.decode()
    assert "Watches mon, tue 08:00 to 18:00 Europe/Berlin" in page
    assert browse(alice).post(f"/console/alerts/rules/{made.pk}/", FORM | {"name": "Day"}).status_code == 302
    made.refresh_from_db()
    assert made.hours is None


def test_steps_are_kept_by_the_api_and_shown_in_the_form(browse: Any, api: Any, alice: Any, channel: Any) -> None:
    told = str(channel("webhook").pk)
    steps = [{"after_seconds": 300, "channel_ids": [told]}, {"after_seconds": 900, "channel_ids": [told]}]
    made = api(alice).post("/notifications/rules", BODY | {"name": "r", "escalation": steps}, content_type=JSON)
    assert made.status_code == 201, made.json()
    assert made.json()["escalation"] == [step | {"rotation_ids": []} for step in steps]
    foreign = [{"after_seconds": 300, "channel_ids": ["5a0ce9f0-0000-4000-8000-000000000000"]}]
    wrong = api(alice).post("/notifications/rules", BODY | {"name": "s", "escalation": foreign}, content_type=JSON)
    assert wrong.status_code == 422 and wrong.json()["errors"][0]["field"] == "channel_ids"
    url = f"/console/alerts/rules/{made.json()['id']}/"
    page = browse(alice).get(url)
    assert "1 more channel after 5 min, 1 more channel after 15 min" in page.content.decode()
    assert page.context["form"]["step2_channels"].value() == [told]
    change = FORM | {"name": "r", "step1_after": "600", "step1_channels": [told], "step2_after": "0"}
    assert browse(alice).post(url, change).status_code == 302
    assert Rule.objects.get().escalation == [{"after_seconds": 600, "channel_ids": [told], "rotation_ids": []}]


def test_a_rules_page_shows_its_series(two_storms: None, browse: Any, alice: Any) -> None:
    browse(alice).post(NEW, FORM | {"name": "r"})
    made = Rule.objects.get()
    page = browse(alice).get(f"/console/alerts/rules/{made.pk}/history/").content.decode()
    assert "Would have fired 2 times" in page and "above 2" in page
    change = browse(alice).post(f"/console/alerts/rules/{made.pk}/preview/", FORM | {"value": "9"}).content.decode()
    assert "Would not have fired" in change
    made.refresh_from_db()
    assert made.value == 2.0


@pytest.mark.parametrize(
    ("page", "measure"),
    [
        ("/console/exceptions/?q=type:KeyError+after:-2h", "measure=exception_count&query=type%3AKeyError"),
        ("/console/exceptions/groups/?q=status:open+first:-24h+sort:new", "measure=new_group&query=status%3Aopen"),
        ("/console/runs/?q=org:org_1", "measure=run_failed&query=org%3Aorg_1"),
        ("/console/audit/?q=outcome:denied", "measure=audit_count&query=outcome%3Adenied"),
    ],
)
def test_a_search_becomes_a_rule(db: None, browse: Any, alice: Any, page: str, measure: str) -> None:
    shown = browse(alice).get(page).content.decode().replace("&amp;", "&")
    assert f"{NEW}?{measure}" in shown
    form = browse(alice).get(f"{NEW}?{measure}").content.decode()
    name = measure.split("&")[0].removeprefix("measure=")
    assert f'<option value="{name}" selected>' in form


def test_who_may_make_no_rules_is_led_to_none(browse: Any, vera: Any) -> None:
    assert "Make a rule" not in browse(vera).get("/console/runs/").content.decode()


@pytest.mark.parametrize("usual", USUAL, ids=lambda usual: usual.key)
def test_each_usual_rule_is_one_that_can_be_kept(browse: Any, alice: Any, usual: Any) -> None:
    page = browse(alice).get(f"{NEW}?usual={usual.key}")
    form = page.context["form"]
    first = {
        field.name: next(iter(getattr(field.field, "choices", [("", "")])))[0] for field in form if field.name in FORM
    }
    filled = first | {field.name: field.value() for field in form if field.value() not in (None, [])}
    answer = browse(alice).post(NEW, filled)
    assert answer.status_code == 302, answer.context["form"].errors
    assert Rule.objects.get().measure == usual.terms["measure"]

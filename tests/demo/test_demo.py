"""The demo is what real writers would have left, and making it twice is making it once."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from dagy.capture.keys import decode_metadata, encode_metadata, parse_key
from dagy_console.accounts.models import User
from dagy_console.alerts.models import Channel, ChannelType, Rotation, Rule
from dagy_console.audit.models import AuditEntry
from dagy_console.demo.alerts import make_rules
from dagy_console.demo.objects import DemoObject
from dagy_console.demo.odd import odd_objects
from dagy_console.demo.scenario import SCENARIOS, Scenario
from dagy_console.demo.traces import demo_objects
from dagy_console.exceptions.models import Trace
from dagy_console.exceptions.reading.fields import IndexFields, extract_fields
from dagy_console.exceptions.reading.tracebacks import parse
from dagy_console.exceptions.trace.preview import build_preview

NOW = datetime(2026, 1, 15, 10, 30, tzinfo=UTC)
OBJECTS = demo_objects(900, now=NOW)
ORDINARY = OBJECTS[:900]


def read(item: DemoObject) -> IndexFields:
    metadata = decode_metadata(encode_metadata(item.metadata))
    return extract_fields(item.body, key=item.key, metadata=metadata, last_modified=NOW)


@pytest.fixture(scope="module")
def rows() -> list[IndexFields]:
    """What the index keeps of the ordinary traces."""
    return [read(item) for item in ORDINARY]


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=lambda scenario: scenario.name)
def test_every_scenario_is_a_traceback_that_the_console_reads(scenario: Scenario) -> None:
    body = next(found for item in ORDINARY if is_of(found := json.loads(item.body), scenario))
    raised = parse(body["traceback"])[-1]
    assert raised.type.split(".")[-1] == scenario.type
    assert raised.frames
    assert all(len(frame.carets) <= len(frame.source) for frame in raised.frames)
    if raised.syntax is None:
        assert raised.value == body["exception_message"]


def is_of(body: dict[str, Any], scenario: Scenario) -> bool:
    start = scenario.message.partition("{")[0]
    same = (body["exception_type"], body["http_path"]) == (scenario.type, scenario.path)
    return same and str(body["exception_message"]).startswith(start)


def test_each_scenario_is_one_group_and_each_group_one_scenario(rows: list[IndexFields]) -> None:
    groups = {fields.fingerprint for fields in rows}
    assert len(groups) == len(SCENARIOS)


def test_ordinary_traces_hold_all_that_the_contract_asks_for(rows: list[IndexFields]) -> None:
    assert {problem for fields in rows for problem in fields.problems} == set()


def test_the_incident_is_a_spike_of_the_last_two_hours_over_several_organizations(rows: list[IndexFields]) -> None:
    incident = [fields for fields in rows if fields.exception_type == "IntegrityError"]
    assert len(incident) > 150
    assert all(NOW - timedelta(hours=2) < fields.occurred_at < NOW for fields in incident)
    assert len({fields.org_id for fields in incident}) == 5


def test_a_burst_is_over_within_half_an_hour_and_is_most_of_what_its_group_ever_was(rows: list[IndexFields]) -> None:
    outage = [NOW - fields.occurred_at for fields in rows if "port 5432" in fields.message]
    burst = [age for age in outage if timedelta(hours=14.7) <= age <= timedelta(hours=15.2)]
    assert len(burst) > len(outage) / 3 and len(burst) > 40


def test_a_regression_is_a_group_that_was_silent_for_days_and_is_back(rows: list[IndexFields]) -> None:
    ages = sorted(NOW - fields.occurred_at for fields in rows if fields.message == "'ledger'")
    silence = max(older - newer for newer, older in pairwise(ages))
    assert silence > timedelta(days=4)
    assert ages[0] < timedelta(hours=1) and ages[-1] > timedelta(days=5)


def test_most_traces_are_of_the_last_day_and_none_is_of_the_future_or_older_than_a_week(
    rows: list[IndexFields],
) -> None:
    ages = [NOW - fields.occurred_at for fields in rows]
    assert timedelta(0) < min(ages) and max(ages) < timedelta(days=7)
    assert sum(age < timedelta(days=1) for age in ages) > 600


def test_some_requests_left_two_or_three_traces(rows: list[IndexFields]) -> None:
    requests = [fields.request_id for fields in rows]
    counts = {requests.count(request) for request in set(requests)}
    assert counts == {1, 2, 3}


def test_the_demo_is_the_same_but_for_its_times() -> None:
    later = demo_objects(900, now=NOW + timedelta(days=3))
    assert [item.metadata.get("request-id") for item in OBJECTS] == [item.metadata.get("request-id") for item in later]


def test_odd_objects_are_those_that_need_words() -> None:
    problems = {problem for item in odd_objects(NOW) for problem in read(item).problems}
    assert {"not-json", "not-object", "metadata-missing", "key-mismatch", "field-missing:traceback"} <= problems
    assert all(item.key.startswith("exceptions/") for item in odd_objects(NOW))
    assert any(parse_key(item.key) is None for item in odd_objects(NOW))
    assert max(len(item.body) for item in odd_objects(NOW)) > 300_000


@pytest.mark.parametrize("item", odd_objects(NOW), ids=lambda item: item.key.rsplit("/", 1)[1])
def test_odd_objects_have_a_page(item: DemoObject) -> None:
    build_preview(item.body, key=item.key, size=len(item.body), truncated=False, metadata=item.metadata, base_url="")


@pytest.fixture
def passwords(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    given = {"super_admin": "night shift 1", "owner": "blue owner 1", "viewer": "blue viewer 1"}
    monkeypatch.setenv("DAGY_DEMO_PASSWORDS", json.dumps(given))
    return given


def seed() -> str:
    out = io.StringIO()
    call_command("seed_demo", traces=20, runs=False, stdout=out)
    return out.getvalue()


def test_seeding_twice_changes_nothing_but_passwords_given_anew(
    bucket: Any, db: None, passwords: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seed()
    assert sorted(Trace.objects.values_list("key", flat=True)) == sorted(bucket.keys())
    before = (Trace.objects.count(), User.objects.count(), len(bucket.keys()))
    entries = AuditEntry.objects.count()
    monkeypatch.setenv("DAGY_DEMO_PASSWORDS", json.dumps(passwords | {"owner": "blue owner 2"}))
    assert "none were written" in seed()
    assert (Trace.objects.count(), User.objects.count(), len(bucket.keys())) == before
    assert AuditEntry.objects.filter(action="user.password_set").count() == AuditEntry.objects.count() - entries == 1
    assert User.objects.get(email="alice@dagy.example").check_password(passwords["super_admin"])
    assert User.objects.get(email="bob@blue.example").check_password("blue owner 2")


def test_the_rows_written_at_once_are_those_that_reading_the_bucket_gives(
    bucket: Any, indexed: Any, passwords: dict[str, str]
) -> None:
    names = ("key", "timestamp", "org_id", "exception_type", "message", "fingerprint", "problems", "size", "etag")
    seed()
    written = {row[0]: row for row in Trace.objects.values_list(*names)}
    Trace.objects.all().delete()
    indexed()
    assert {row[0]: row for row in Trace.objects.values_list(*names)} == written


def test_without_given_passwords_random_ones_are_printed_once(
    bucket: Any, db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DAGY_DEMO_PASSWORDS", raising=False)
    line = next(line for line in seed().splitlines() if line.startswith("vera@blue.example"))
    assert User.objects.get(email="vera@blue.example").check_password(line.rsplit(" ", 1)[1])
    assert "signs in with" not in seed()


def test_passwords_that_are_not_json_are_refused_with_an_example(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGY_DEMO_PASSWORDS", "hunter2")
    with pytest.raises(CommandError, match="must be JSON such as"):
        seed()


def test_the_demo_has_rules_that_tell_somebody_once(db: None) -> None:
    assert make_rules("") == Rule.objects.count() > 2
    (nights,) = Rotation.objects.all()
    assert nights.starts_at < timezone.now() and nights.rules.exists()
    assert make_rules("") == 0
    assert set(Channel.objects.values_list("channel_type", flat=True)) == {"email"}


def test_with_the_inbox_beside_it_the_demo_tells_by_every_kind_of_channel(db: None, settings: Any) -> None:
    inbox = settings.SLACK_URL = settings.PAGERDUTY_URL = "http://127.0.0.1:4321"
    settings.CHANNEL_ALLOWED_HOSTS = ["127.0.0.1"]
    make_rules(inbox)
    assert set(Channel.objects.values_list("channel_type", flat=True)) == set(ChannelType.values)
    assert all(rule.channels.exists() for rule in Rule.objects.all())


def test_who_has_set_slacks_own_address_gets_no_demo_there(db: None, settings: Any) -> None:
    settings.CHANNEL_ALLOWED_HOSTS = ["127.0.0.1"]
    make_rules("http://127.0.0.1:4321")
    assert set(Channel.objects.values_list("channel_type", flat=True)) == {"email", "webhook"}

"""What was counted once is what counting anew gives, whatever was changed, by whomever, in between."""

import random
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone

from dagy_console.accounts.models import Organization
from dagy_console.audit.models import AuditEntry
from dagy_console.audit.search import ENTRIES
from dagy_console.core import roles
from dagy_console.core.database import TookTooLong
from dagy_console.core.permissions import Permission
from dagy_console.exceptions.index.indexing import put_traces, remove_traces
from dagy_console.exceptions.models import Trace
from dagy_console.exceptions.search import TRACES
from dagy_console.listing import rollups, summary
from dagy_console.listing.language import Listing
from dagy_console.listing.models import DayCount, RolledUpDay
from dagy_console.listing.rollups import met_by_day, roll_up, rolled_up
from dagy_console.listing.summary import summarize
from dagy_console.runs.models import Run
from dagy_console.runs.search import RUNS
from tests.console import at_the_same_moment
from tests.runs.support import a_run
from tests.traces import NOW, a_trace, some_traces

QUERIES = (
    "",
    "type:ValueError",
    "-type:ValueError",
    "org:org_1",
    "-org:org_1",
    "path:/runs after:-5d",
    "after:-90h",
    "before:-30h",
    "group:f1 after:-6d before:-2d",
    "after:-5h",
    "after:-50h before:-3h",
    "type:Nowhere",
    "path:/r*",
    "path:/r* -path:/runs",
    "-path:/f*",
    "type:ValueError type:KeyError -type:Nowhere",
    "-type:ValueError -type:KeyError",
    "-path:* after:-5d",
    "type:ValueError org:org_1",
    "-type:V* -org:org_1",
    "words",
)
# Those that are about one facet.
ANSWERED = len(QUERIES) - 3


def same(listing: Listing, rows: Any, *queries: str) -> int:
    """How many of the queries were answered by days that were counted before; all are answered as by counting anew."""
    answered = 0
    for text in queries:
        query, anew = listing.parse(text), replace(listing, source="").parse(text)
        found, expected = summarize(rows, query), summarize(rows, anew)
        assert found == expected, text
        assert expected.total is not None
        answered += rolled_up(rows, query, NOW - timedelta(days=20), NOW) is not None
    return answered


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.slow("a property over random sequences of writes")
def test_counts_hold_after_any_sequence_of_inserts_overwrites_and_deletions(db: None, seed: int) -> None:
    chance = random.Random(seed)
    traces = {trace.key: trace for trace in some_traces(150, chance)}
    put_traces(list(traces.values()))
    assert roll_up() > 8
    for step in range(6):
        chosen = chance.sample(sorted(traces), 5)
        deed = chance.randrange(4)
        if deed == 0:
            new = some_traces(6, chance, first=1_000 + 10 * step)
            traces |= {trace.key: trace for trace in new}
            put_traces(new)
        elif deed == 1:  # written over: another type, and another time
            put_traces(
                [replace(a, etag=f"b{step}") for a in some_traces(5, chance, first=int(chosen[0].split("/")[-1][:-5]))]
            )
        elif deed == 2:
            remove_traces(chosen)
        else:
            roll_up()
        if chance.random() < 0.5:
            put_traces([traces[key] for key in chosen])  # a replay
        same(TRACES, Trace.objects.all(), *QUERIES)  # how many days still hold depends on the time of day
    roll_up()
    assert same(TRACES, Trace.objects.all(), *QUERIES) == ANSWERED


def test_what_was_rolled_back_changes_nothing(db: None) -> None:
    put_traces(some_traces(50, random.Random(1)))
    roll_up()
    with pytest.raises(RuntimeError), transaction.atomic():
        remove_traces(list(Trace.objects.values_list("key", flat=True)))
        raise RuntimeError
    assert RolledUpDay.objects.filter(source="trace", counted_until__isnull=False).count() >= 9
    same(TRACES, Trace.objects.all(), *QUERIES)


def test_a_run_that_changes_takes_back_only_what_was_counted_of_it(bob: Any) -> None:
    run = a_run("org_blue")
    Run.objects.filter(pk=run.pk).update(created_at=NOW - timedelta(days=3))
    Run.objects.filter(pk=a_run("org_blue", name="hourly").pk).update(created_at=NOW - timedelta(days=9))
    roll_up()
    queries = ("", "status:QUEUED", "-status:FAILED", "flow:nightly", "-flow:nightly", "error:ValueError")
    assert same(RUNS, Run.objects.all(), *queries) == len(queries)
    counted = RolledUpDay.objects.filter(source="runs_run", counted_until__isnull=False)
    before = counted.count()
    Run.objects.filter(pk=run.pk).update(log_lines=5, lease_until=timezone.now())
    assert counted.count() == before  # a renewed lease is nothing that is counted
    Run.objects.filter(pk=run.pk).update(status="FAILED", error_type="ValueError")
    assert counted.count() == before - 1
    same(RUNS, Run.objects.all(), *queries)
    roll_up()
    assert counted.count() == before
    same(RUNS, Run.objects.all(), *queries)


def test_the_record_is_counted_and_a_reader_of_a_part_of_it_has_it_counted_anew(
    bob: Any, as_actor: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rollups.timezone, "now", lambda: NOW.replace(hour=0))
    roll_up()
    assert same(ENTRIES, AuditEntry.objects.all(), "") == 0  # nothing is over yet
    mine = AuditEntry.objects.filter(org_id="org_blue").exclude(action="x")
    assert rolled_up(mine, ENTRIES.query(), NOW - timedelta(days=20), NOW) is None


def test_who_sees_some_organizations_has_their_counts(bob: Any, as_actor: Any) -> None:
    Organization.objects.create(id="org_grey", name="Grey")
    for number, (org, status) in enumerate([("org_blue", "FAILED"), ("org_blue", "QUEUED"), ("org_grey", "FAILED")]):
        run = a_run(org, name=f"flow-{number}")
        Run.objects.filter(pk=run.pk).update(created_at=NOW - timedelta(days=3 + number), status=status)
    roll_up()
    mine = as_actor(bob).scoped(Run.objects.all(), Permission.RUNS_READ)
    queries = ("", "after:-20d", "org:org_blue", "org:org_grey", "-org:org_blue", "org:org_*")
    assert same(RUNS, mine, *queries) == len(queries)
    assert summarize(mine, RUNS.query()).total == 2
    same(RUNS, mine, "status:FAILED", "-status:FAILED org:org_blue")
    assert same(RUNS, Run.objects.none(), "") == 0


@pytest.mark.parametrize("seed", range(3))
def test_of_two_facets_the_total_and_the_days_are_exact_where_the_rest_would_take_too_long(
    db: None, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(seed)
    put_traces(some_traces(300, chance))
    roll_up()
    put_traces(
        [a_trace(500 + number, NOW - timedelta(days=6), chance) for number in range(9)]
    )  # on a day that was counted
    texts = ("type:ValueError org:org_1", "type:ValueError org:org_1 org:org_2", "group:f1 method:POST before:-3d",
             "method:GET type:KeyError after:-100h")  # fmt: skip
    exact = [summarize(Trace.objects.all(), TRACES.parse(text)) for text in texts]
    monkeypatch.setattr(summary, "MOST_LIVE", 0)
    monkeypatch.setattr(summary, "AT_LEAST", 5)
    for text, expected in zip(texts, exact, strict=True):
        found = summarize(Trace.objects.all(), TRACES.parse(text))
        assert (found.total, found.of_newest) == (expected.total, 5), text
        assert sum(bucket.count for bucket in found.buckets) == expected.total
        assert found.buckets[-1].start == expected.buckets[-1].start.replace(hour=0, minute=0)
        assert sum(count for facet in found.facets for _, count in facet.values if facet.key == "type") == 5


@pytest.mark.parametrize(
    "text", ["type:V* org:org_1", "-type:KeyError org:org_1", "type:KeyError words", "type:KeyError"]
)
def test_of_other_searches_no_pairs_are_known(db: None, text: str) -> None:
    put_traces(some_traces(30, random.Random(1)))
    roll_up()
    rows, query = Trace.objects.all(), TRACES.parse(text)
    assert met_by_day(rows, rows.filter(query.as_q()), query) is None


def test_a_day_under_way_is_counted_an_hour_at_a_time(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    noon = (NOW - timedelta(days=1)).replace(hour=12, minute=0, second=0, microsecond=0)
    day = DayCount.objects.filter(day=noon.date(), column="exception_type", given_column="")

    def at(moment: datetime) -> int:
        monkeypatch.setattr(rollups.timezone, "now", lambda: moment + timedelta(minutes=5))
        return roll_up()

    def puts(number: int, hour: int) -> None:
        put_traces([a_trace(number, noon.replace(hour=hour, minute=30), random.Random(number))])

    def counted_until() -> datetime | None:
        return RolledUpDay.objects.get(source="trace", day=noon.date()).counted_until

    puts(1, hour=11)
    puts(2, hour=12)
    assert (at(noon), at(noon), counted_until(), day.count()) == (1, 0, noon, 1)
    puts(3, hour=12)
    assert counted_until() == noon  # what is written now is counted live, and locks nothing
    assert same(TRACES, Trace.objects.all(), *QUERIES) > 1

    one = noon + timedelta(hours=1)
    first = set(day.values_list("pk", flat=True))
    assert (at(one), counted_until()) == (1, one)
    assert first < set(day.values_list("pk", flat=True))  # only the hour was counted
    assert sum(day.values_list("count", flat=True)) == 3
    same(TRACES, Trace.objects.all(), *QUERIES)

    puts(4, hour=10)
    assert counted_until() is None
    assert (at(one), counted_until(), day.filter(pk__in=first).exists()) == (1, one, False)
    same(TRACES, Trace.objects.all(), *QUERIES)

    over = noon + timedelta(hours=12)
    assert (at(over), counted_until()) == (1, over)
    assert day.count() == day.values("value").distinct().count()  # each value once
    same(TRACES, Trace.objects.all(), *QUERIES)


def test_what_was_counted_of_a_partition_that_is_dropped_is_forgotten(committed: None, empty_index: None) -> None:
    put_traces(some_traces(50, random.Random(1)))
    roll_up()
    # Partitions end with a day.
    oldest = (NOW - timedelta(days=5)).replace(hour=0, minute=0, second=0, microsecond=0)
    with roles.connected_as("owner"), connection.cursor() as cursor:  # as a dropped partition, it calls no trigger
        cursor.execute("ALTER TABLE trace DISABLE TRIGGER USER")
        cursor.execute("DELETE FROM trace WHERE timestamp < %s", [oldest])
        cursor.execute("ALTER TABLE trace ENABLE TRIGGER USER")
    roll_up()
    assert not DayCount.objects.filter(source="trace", day__lt=oldest.date()).exists()
    assert summarize(Trace.objects.all(), TRACES.parse("after:-30d")).total == Trace.objects.count() > 0


def test_an_hour_that_ends_is_not_counted_before_every_writer_knows(
    committed: None, empty_index: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    noon = (NOW - timedelta(days=1)).replace(hour=12)
    monkeypatch.setattr(rollups.timezone, "now", lambda: noon)
    put_traces([a_trace(1, noon - timedelta(hours=1), random.Random(1))])
    assert roll_up() == 1

    def writing() -> None:
        with transaction.atomic():
            put_traces([a_trace(2, noon, random.Random(2))])
            monkeypatch.setattr(rollups.timezone, "now", lambda: noon + timedelta(hours=1))
            assert at_the_same_moment(roll_up) == [0]

    at_the_same_moment(writing)
    assert roll_up() == 1
    assert summarize(Trace.objects.all(), TRACES.query()).total == 2


def test_a_day_that_somebody_changes_right_now_is_left_for_later(
    committed: None, empty_index: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    when = NOW - timedelta(days=2)
    monkeypatch.setattr(rollups.timezone, "now", lambda: (when + timedelta(days=1)).replace(hour=0))
    put_traces([a_trace(1, when, random.Random(1))])

    def changing() -> None:
        with transaction.atomic():
            put_traces([a_trace(2, when, random.Random(2))])
            assert at_the_same_moment(roll_up) == [0]  # it may not have seen the day's row; nothing waits

    at_the_same_moment(changing)
    assert roll_up() == 1
    at_the_same_moment(lambda: remove_traces(["exceptions/org/1.json"]))

    def changing_again() -> None:
        with transaction.atomic():
            put_traces([a_trace(3, when, random.Random(3))])
            assert at_the_same_moment(roll_up) == [0]  # it shares the row's lock

    at_the_same_moment(changing_again)
    assert roll_up() == 1
    same(TRACES, Trace.objects.all(), *QUERIES)


def test_two_writers_a_deletion_and_two_countings_at_once_leave_exact_counts(
    committed: None, empty_index: None
) -> None:
    put_traces(some_traces(200, random.Random(3)))

    def writes(seed: int) -> Callable[[], None]:
        def go() -> None:
            chance = random.Random(seed)
            for step in range(10):
                put_traces(some_traces(10, chance, first=seed * 1_000 + step * 10))

        return go

    def deletes() -> None:
        for number in range(0, 200, 10):
            remove_traces([f"exceptions/org/{number + step}.json" for step in range(3)])

    def counts() -> None:
        for _ in range(3):
            roll_up()

    assert at_the_same_moment(writes(11), writes(12), deletes, counts, counts) == [None] * 5
    same(TRACES, Trace.objects.all(), *QUERIES)
    roll_up()
    assert same(TRACES, Trace.objects.all(), *QUERIES) == ANSWERED


def test_long_values_are_counted_whole(db: None) -> None:
    put_traces([replace(trace, key=f"k{number}") for number, trace in enumerate(some_traces(30, random.Random(5)))])
    roll_up()
    assert DayCount.objects.filter(column="http_path", value__startswith="/xxx").exists()
    long = "/" + "x" * 1_500
    same(TRACES, Trace.objects.all(), f"path:{long}", f"-path:{long}")


def test_where_counting_takes_too_long_it_says_how_many_there_are_at_least(
    db: None, monkeypatch: pytest.MonkeyPatch, browse: Any, api: Any, alice: Any
) -> None:
    def too_long(*_: Any) -> None:
        raise TookTooLong

    put_traces(some_traces(20, random.Random(1)))
    monkeypatch.setattr(summary, "_counted", too_long)
    assert summarize(Trace.objects.all(), TRACES.query()).total == 20  # there are no more: it is exact
    monkeypatch.setattr(summary, "AT_LEAST", 10)
    assert "At least 10 traces" in browse(alice).get("/console/exceptions/").content.decode()
    told = api(alice).get("/admin/exceptions/summary").json()
    assert (told["total"], told["total_is_exact"]) == (10, False)


def test_what_is_gone_while_it_is_counted_is_nothing_and_no_error(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*asked: Any) -> Any:
        Trace.objects.all().delete()
        return rolled_up(*asked)

    put_traces(some_traces(3, random.Random(1)))
    monkeypatch.setattr(summary, "rolled_up", gone)
    assert summarize(Trace.objects.all(), TRACES.query()) == summary.Summary(total=0)

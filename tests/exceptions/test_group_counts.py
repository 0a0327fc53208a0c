"""Groups are what counting their traces anew gives, whatever was changed, by whomever, in between."""

import random
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models import Count, Max, Min

from dagy_console.core import roles
from dagy_console.exceptions.index.grouping import recount_groups
from dagy_console.exceptions.index.indexing import put_traces, remove_traces
from dagy_console.exceptions.models import GroupOrganization, Trace, TraceGroup
from tests.console import at_the_same_moment
from tests.traces import NOW, a_trace, some_traces


def counted_anew() -> tuple[set[Any], set[Any]]:
    groups = (
        Trace.objects.order_by()
        .values_list("fingerprint")
        .annotate(
            count=Count("*"),
            first=Min("timestamp"),
            last=Max("timestamp"),
            organizations=Count("org_id", distinct=True),
        )
    )
    organizations = Trace.objects.order_by().values_list("fingerprint", "org_id").annotate(count=Count("*"))
    return set(groups), set(organizations)


def kept() -> tuple[set[Any], set[Any]]:
    groups = TraceGroup.objects.filter(count__gt=0)
    return (
        set(groups.values_list("fingerprint", "count", "first_seen", "last_seen", "organizations")),
        set(GroupOrganization.objects.values_list("fingerprint", "org_id", "count")),
    )


@pytest.mark.parametrize("seed", range(4))
def test_groups_hold_after_any_sequence_of_inserts_overwrites_and_deletions(db: None, seed: int) -> None:
    chance = random.Random(seed)
    put_traces(some_traces(60, chance))
    for step in range(12):
        keys = sorted(Trace.objects.values_list("key", flat=True))
        chosen = chance.sample(keys, min(8, len(keys)))
        deed = chance.randrange(5)
        if deed == 0:
            put_traces(some_traces(9, chance, first=1_000 + 10 * step))
        elif deed == 1:  # written over: another group, organization and time
            put_traces([replace(a_trace(7, NOW, chance, etag=f"b{step}"), key=key) for key in chosen])
        elif deed == 2:
            remove_traces(chosen)
        elif deed == 3:  # the first and the last of a group
            ends = Trace.objects.filter(fingerprint="f1").aggregate(first=Min("timestamp"), last=Max("timestamp"))
            remove_traces(list(Trace.objects.filter(timestamp__in=ends.values()).values_list("key", flat=True)))
        else:  # by somebody who knows of nothing
            Trace.objects.filter(key__in=chosen).update(org_id="org_9", fingerprint="f9")
        if chance.random() < 0.5:
            put_traces(some_traces(60, random.Random(seed)))  # a replay
        assert kept() == counted_anew()
    Trace.objects.all().delete()
    assert kept() == (set(), set())


def test_what_was_rolled_back_changes_no_group(db: None) -> None:
    put_traces(some_traces(30, random.Random(1)))
    before = kept()
    with pytest.raises(RuntimeError), transaction.atomic():
        remove_traces(list(Trace.objects.values_list("key", flat=True)[:20]))
        put_traces(some_traces(5, random.Random(2), first=500))
        raise RuntimeError
    assert kept() == before == counted_anew()


def test_a_group_outlives_its_traces_and_counts_from_nothing_when_it_comes_back(db: None) -> None:
    put_traces([a_trace(1, NOW, random.Random(1))])
    fingerprint = Trace.objects.get().fingerprint
    TraceGroup.objects.update(note="told the customer")
    remove_traces(["exceptions/org/1.json"])
    group = TraceGroup.objects.get(fingerprint=fingerprint)
    assert (group.count, group.organizations, group.last_seen, group.note) == (0, 0, NOW, "told the customer")
    later = NOW.replace(second=59)
    put_traces([replace(a_trace(2, later, random.Random(1)), etag="c")])
    group.refresh_from_db()
    assert (group.count, group.first_seen, group.last_seen, group.note) == (1, later, later, "told the customer")


def test_two_writers_and_two_deletions_at_once_leave_groups_exact(committed: None, empty_index: None) -> None:
    put_traces(some_traces(200, random.Random(3)))

    def writes(seed: int) -> Callable[[], None]:
        def go() -> None:
            chance = random.Random(seed)
            for step in range(12):
                new = some_traces(8, chance, first=seed * 1_000 + step * 10)
                over = [replace(a_trace(0, NOW, chance, etag=f"{seed}-{step}"), key=f"exceptions/org/{step}.json")]
                assert put_traces([*new, *over]) == 0

        return go

    def deletes(offset: int) -> Callable[[], None]:
        def go() -> None:
            for number in range(offset, 200, 10):
                remove_traces([f"exceptions/org/{number + step}.json" for step in range(3)])

        return go

    assert at_the_same_moment(writes(11), writes(12), deletes(0), deletes(5)) == [None] * 4
    assert kept() == counted_anew()


def test_groups_are_counted_anew_while_others_write(committed: None, empty_index: None) -> None:
    put_traces(some_traces(80, random.Random(6)))
    oldest = NOW - timedelta(days=4)
    with roles.connected_as("owner"), connection.cursor() as cursor:  # as a dropped partition, it calls no trigger
        cursor.execute("ALTER TABLE trace DISABLE TRIGGER USER")
        cursor.execute("DELETE FROM trace WHERE timestamp < %s", [oldest])
        cursor.execute("ALTER TABLE trace ENABLE TRIGGER USER")
    assert kept() != counted_anew()

    def writes() -> None:
        for step in range(10):
            put_traces(some_traces(8, random.Random(step), first=1_000 + step * 10))
            remove_traces([f"exceptions/org/{1_000 + step * 10}.json"])

    assert at_the_same_moment(writes, recount_groups, recount_groups) == [None] * 3
    assert kept() == counted_anew()


def test_a_writer_that_dies_in_the_middle_leaves_nothing_behind(committed: None, empty_index: None) -> None:
    put_traces(some_traces(40, random.Random(4)))
    before = kept()

    def dies() -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            put_traces(some_traces(10, random.Random(5), first=900))
            remove_traces(["exceptions/org/1.json", "exceptions/org/2.json"])
            cursor.execute("SELECT pg_backend_pid()")
            victim = cursor.fetchone()[0]
            at_the_same_moment(lambda: _kill(victim))
            cursor.execute("SELECT 1")

    with pytest.raises(Exception, match=r"terminat|closed|server"):
        at_the_same_moment(dies)
    assert kept() == before == counted_anew()


def _kill(process: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s)", [process])

"""Whose turn it is: a week each, handed over at the same local time whatever the clocks do."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dagy_console.alerts.models import Override, Rotation
from dagy_console.alerts.on_call import WEEK, going_on, handover, on_call, roster, turn_at

BERLIN = ZoneInfo("Europe/Berlin")
# A Monday.
WINTER = datetime(2026, 1, 5, 9, tzinfo=BERLIN)
TURNS = ["00000000-0000-0000-0000-00000000000a", "00000000-0000-0000-0000-00000000000b"]
A, B = TURNS
C = "00000000-0000-0000-0000-00000000000c"
# Of 15 years, to the second. Numbers are drawn in no time, where dates with zones are slow on a busy machine.
MOMENTS = st.integers(0, 15 * 365 * 86_400).map(
    lambda after: datetime(2020, 1, 1, tzinfo=UTC) + timedelta(seconds=after)
)
PATIENTLY = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
ZONES = st.sampled_from(["Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "Pacific/Apia", "UTC"])


def a_rotation(starts_at: datetime = WINTER, zone: str = "Europe/Berlin", turns: list[str] = TURNS) -> Rotation:
    return Rotation(name="Night", channel_ids=turns, time_zone=zone, starts_at=starts_at)


def an_override(since: datetime, until: datetime, channel: str = C) -> Override:
    return Override(channel_id=channel, starts_at=since, until=until)


def test_they_take_turns_from_its_beginning_on_and_the_first_is_on_call_before_it() -> None:
    rotation = a_rotation()
    assert on_call(rotation, [], WINTER - timedelta(days=40)).channel_id == A
    assert on_call(rotation, [], WINTER).channel_id == A
    assert on_call(rotation, [], WINTER + WEEK - timedelta(microseconds=1)).channel_id == A
    first = on_call(rotation, [], WINTER + WEEK)
    assert (first.channel_id, first.until, first.override) == (B, WINTER + 2 * WEEK, None)
    assert on_call(rotation, [], WINTER + 2 * WEEK).channel_id == A


@pytest.mark.parametrize(
    ("before", "after", "hours"),
    [
        (datetime(2026, 3, 23, 9), datetime(2026, 3, 30, 9), 167),
        (datetime(2026, 10, 19, 9), datetime(2026, 10, 26, 9), 169),
    ],
    ids=["clocks go forward", "clocks go back"],
)
def test_a_handover_stays_at_nine_where_clocks_are_set(before: datetime, after: datetime, hours: int) -> None:
    rotation, since, until = a_rotation(), before.replace(tzinfo=BERLIN), after.replace(tzinfo=BERLIN)
    shift = on_call(rotation, [], since)
    assert shift.until == until and until.astimezone(UTC) - since.astimezone(UTC) == timedelta(hours=hours)
    second = timedelta(seconds=1)
    assert on_call(rotation, [], until.astimezone(UTC) - second).channel_id == shift.channel_id
    assert on_call(rotation, [], until).channel_id != shift.channel_id


@pytest.mark.parametrize("begins", ["2026-07-06T09:00", "2026-01-05T09:00"])
def test_one_that_began_in_the_other_half_of_the_year_hands_over_to_the_minute(begins: str) -> None:
    rotation = a_rotation(datetime.fromisoformat(begins).replace(tzinfo=BERLIN))
    for number in range(80):
        there = handover(rotation, number).astimezone(BERLIN)
        assert (there.weekday(), there.hour, there.minute) == (0, 9, 0)
        assert turn_at(rotation, handover(rotation, number)) == number
        assert turn_at(rotation, handover(rotation, number + 1) - timedelta(microseconds=1)) == number


def test_a_time_that_clocks_skip_or_show_twice_has_one_handover() -> None:
    skipped = a_rotation(datetime(2026, 3, 22, 2, 30, tzinfo=BERLIN))
    assert handover(skipped, 1) == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
    assert handover(skipped, 2) == datetime(2026, 4, 5, 0, 30, tzinfo=UTC)
    twice = a_rotation(datetime(2026, 10, 18, 2, 30, tzinfo=BERLIN))
    assert handover(twice, 1) == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    assert turn_at(twice, datetime(2026, 10, 25, 1, 30, tzinfo=UTC)) == 1


def test_an_override_stands_in_from_its_first_moment_to_its_last() -> None:
    rotation = a_rotation()
    since, until = WINTER + timedelta(days=2), WINTER + timedelta(days=9)
    overrides = [an_override(since, until)]
    assert on_call(rotation, overrides, WINTER) == on_call(rotation, overrides, since - timedelta(seconds=1))
    assert on_call(rotation, overrides, WINTER).until == since
    shift = on_call(rotation, overrides, since)
    assert (shift.channel_id, shift.until, shift.override) == (C, until, overrides[0])
    after = on_call(rotation, overrides, until)
    assert (after.channel_id, after.until) == (B, WINTER + 2 * WEEK)


@PATIENTLY
@given(begins=MOMENTS, at=MOMENTS, zone=ZONES, count=st.integers(1, 5))
def test_somebody_is_always_on_call_until_later_and_hands_over_to_the_next(
    begins: datetime, at: datetime, zone: str, count: int
) -> None:
    turns = [str(number) for number in range(count)]
    rotation = a_rotation(begins, zone, turns)
    shift = on_call(rotation, [], at)
    assert shift.until > at and shift.override is None
    following = on_call(rotation, [], shift.until)
    assert turns.index(following.channel_id) == (turns.index(shift.channel_id) + 1) % count
    assert on_call(rotation, [], shift.until - timedelta(microseconds=1)).channel_id == shift.channel_id


@PATIENTLY
@given(begins=MOMENTS, zone=ZONES, turn=st.integers(1, 600))
def test_a_handover_is_at_the_first_ones_local_time_unless_clocks_skip_it(
    begins: datetime, zone: str, turn: int
) -> None:
    rotation, there = a_rotation(begins, zone), ZoneInfo(zone)
    moment = handover(rotation, turn)
    wanted = begins.astimezone(there).replace(tzinfo=None) + turn * WEEK
    found = moment.astimezone(there).replace(tzinfo=None)
    exists = wanted.replace(tzinfo=there).astimezone(UTC).astimezone(there).replace(tzinfo=None) == wanted
    assert found == wanted if exists else found > wanted
    assert turn_at(rotation, moment) == turn and moment > handover(rotation, turn - 1)


@PATIENTLY
@given(begins=MOMENTS, at=MOMENTS, gaps=st.lists(st.tuples(st.integers(0, 300), st.integers(1, 300)), max_size=5))
def test_a_roster_has_no_gap_and_no_overlap(begins: datetime, at: datetime, gaps: list[tuple[int, int]]) -> None:
    overrides, since = [], at
    for before, long in gaps:
        since += timedelta(hours=before)
        overrides.append(an_override(since, since + timedelta(hours=long)))
        since += timedelta(hours=long)
    rotation, until = a_rotation(begins), at + 8 * WEEK
    shifts = roster(rotation, overrides, at, until)
    assert shifts[0][0] == at and shifts[-1][1].until >= until
    assert all(shift.until == begin for (_, shift), (begin, _) in pairwise(shifts))
    shown = [shift.override for _, shift in shifts if shift.override]
    assert shown == [one for one in overrides if one.starts_at < until]


@PATIENTLY
@given(
    begins=MOMENTS,
    at=MOMENTS,
    zone=ZONES,
    before=st.lists(st.sampled_from("abcd"), min_size=1, max_size=6),
    after=st.lists(st.sampled_from("abcd"), min_size=1, max_size=6),
)
def test_another_order_keeps_who_has_the_turn_and_when_it_is_handed_over(
    begins: datetime, at: datetime, zone: str, before: list[str], after: list[str]
) -> None:
    old = a_rotation(begins, zone, before)
    new = a_rotation(going_on(old, after, at), zone, after)
    was, now = on_call(old, [], at), on_call(new, [], at)
    if at < old.starts_at:
        assert now.channel_id == after[0]
    elif was.channel_id in after:
        assert (now.channel_id, now.until) == (was.channel_id, was.until)
    else:
        assert (now.channel_id, now.until) == (after[0], was.until)


def test_another_order_moves_no_handover_out_of_an_hour_that_clocks_skip() -> None:
    old = a_rotation(datetime(2026, 3, 22, 2, 30, tzinfo=BERLIN), turns=[A, B])
    at = datetime(2026, 4, 6, tzinfo=UTC)
    new = a_rotation(going_on(old, [C, A], at), turns=[C, A])
    assert on_call(new, [], at).channel_id == A and handover(new, 5).astimezone(BERLIN).hour == 2

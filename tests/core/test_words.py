"""Sizes, durations, counts, times and tones are each said in one way."""

from datetime import UTC, datetime, timedelta
from enum import StrEnum

import pytest
from django.template import engines
from django.utils import timezone

from dagy_console.audit.actions import Outcome
from dagy_console.core import times, words
from dagy_console.core.health import Status
from dagy_console.core.jobs import JobState

HOUR, DAY = 3_600, 86_400


@pytest.mark.parametrize(
    ("span", "said"),
    [
        (0, "0 s"),
        (59.9, "59 s"),
        (60, "1 min"),
        (3_599, "59 min"),
        (3 * HOUR, "3 h"),
        (timedelta(days=5), "5 d"),
        (60 * DAY, "2 mo"),
        (364 * DAY, "12 mo"),
        (800 * DAY, "2 y"),
    ],
)
def test_a_duration_is_said_in_its_largest_unit(span: timedelta | float, said: str) -> None:
    assert words.duration(span) == said


@pytest.mark.parametrize(
    ("count", "noun", "said"),
    [
        (1, "trace", "1 trace"),
        (0, "trace", "0 traces"),
        (12_431, "trace", "12,431 traces"),
        (1, "key", "1 key"),
        (2, "key", "2 keys"),
        (2, "query", "2 queries"),
        (3, "batch", "3 batches"),
        (1, "ticked row", "1 ticked row"),
    ],
)
def test_a_count_stands_with_its_noun_in_the_right_number(count: int, noun: str, said: str) -> None:
    assert words.counted(count, noun) == said


def test_sizes_are_decimal_and_without_false_precision() -> None:
    said = [words.size(size) for size in (0, 812, 999, 1_000, 4_210, 9_960, 20_000_000, 3 * 10**15)]
    assert said == ["0 B", "812 B", "999 B", "1 KB", "4.2 KB", "10 KB", "20 MB", "3000 TB"]


def test_a_share_below_one_percent_is_not_nothing() -> None:
    assert [words.share(value) for value in (0, 0.2, 41.9, 100)] == ["0\u202f%", "<1\u202f%", "41\u202f%", "100\u202f%"]


@pytest.mark.parametrize("states", [Status, Outcome, JobState])
def test_every_state_outcome_and_health_has_a_tone(states: type[StrEnum]) -> None:
    assert {str(state) for state in states} <= words.TONES.keys()


def test_times_are_utc_in_every_form() -> None:
    when = datetime(2026, 1, 15, 3, 49, 12, 123456, tzinfo=timezone.get_fixed_timezone(60))
    assert times.to_rfc3339(when) == "2026-01-15T02:49:12.123456Z"
    assert (
        times.exact(when) == times.exact(datetime(2026, 1, 15, 2, 49, 12, 123456)) == "2026-01-15 02:49:12.123456 UTC"
    )
    assert times.exact(when.replace(microsecond=0)) == "2026-01-15 02:49:12 UTC"
    assert (times.to_second(when), times.to_minute(when)) == ("2026-01-15 02:49:12 UTC", "2026-01-15 02:49 UTC")


def test_times_are_said_relative_to_now() -> None:
    now = datetime.now(UTC)
    ahead = now + timedelta(minutes=5, seconds=30)
    assert [times.relative(when) for when in (now, now - timedelta(hours=3), ahead)] == ["just now", "3 h", "in 5 min"]


def test_templates_say_what_the_functions_say_and_nothing_of_what_is_not_there() -> None:
    filters = ('n|counted:"trace"', "n|thousands", "s|tone", "s|state", "t|middle:5", "no|bytes", "none|exact_time")
    page = engines["django"].from_string(", ".join(f"{{{{ {said} }}}}" for said in filters))
    values = {"n": 1_200, "s": "succeeded", "t": "abcdefgh", "none": None}
    assert page.render(values) == "1,200 traces, 1,200, ok, done, ab…gh, , "


def test_one_person_and_two_people():
    assert (words.counted(1, "person"), words.counted(2, "person")) == ("1 person", "2 people")

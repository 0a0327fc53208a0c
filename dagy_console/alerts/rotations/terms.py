"""What a rotation is made of, and what is wrong with it."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import available_timezones

from django.utils import timezone

from dagy_console.core.errors import FieldError
from dagy_console.core.forms import is_storable

MOST_TURNS, LONGEST_NAME, LONGEST_REASON = 50, 100, 500
# How far from now a first turn can begin.
FURTHEST = timedelta(days=366)


@dataclass(frozen=True, slots=True)
class Terms:
    """`channel_ids`: whose turns, from the first to the last, one or more for each. `starts_at`: when the first begins;
    it hands over at that weekday and time of day in `time_zone`. It is kept to the second."""

    name: str
    channel_ids: Sequence[uuid.UUID]
    time_zone: str
    starts_at: datetime


def name_of(terms: Terms) -> str:
    """As it is kept, and compared."""
    return " ".join(terms.name.split())


def wrong(terms: Terms, *, known: int, is_taken: bool, is_moved: bool) -> list[FieldError]:
    """`known`: how many of its channels there are; `is_moved`: whether its beginning is new."""
    name, asked = name_of(terms), len(set(terms.channel_ids))
    far = is_moved and abs(terms.starts_at - timezone.now()) > FURTHEST
    return [
        FieldError(field, message)
        for field, is_wrong, message in (
            ("name", not 1 <= len(name) <= LONGEST_NAME, f"write 1 to {LONGEST_NAME} characters"),
            ("name", not is_storable(name), "holds characters that can't be kept"),
            ("name", is_taken, "is taken: there is a rotation of this name"),
            ("channel_ids", not 1 <= len(terms.channel_ids) <= MOST_TURNS, f"takes 1 to {MOST_TURNS} turns"),
            ("channel_ids", known != asked, "must be channels of the same organization, of the platform for its own"),
            ("time_zone", terms.time_zone not in available_timezones(), "must be one such as Europe/Berlin or UTC"),
            ("starts_at", far, f"must be within {FURTHEST.days} days of now"),
        )
        if is_wrong
    ]

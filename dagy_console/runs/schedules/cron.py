"""When a schedule is due: cron expressions in a time zone, as Debian's cron reads them (the library cronsim).

Where clocks are put forward, what falls into the hour that is left out runs right after it; where they are put back,
what falls into the hour that comes twice runs once. What runs every hour or more often runs through both.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError

from dagy_console.core.errors import FieldError, Invalid

SHOWN_TIMES = 5


def check(cron: str, time_zone: str) -> None:
    """Raises Invalid that names `cron` or `time_zone`, also for a time that never comes (30 February)."""
    errors = []
    if time_zone not in available_timezones():
        errors.append(FieldError("time_zone", "is no time zone: write one such as Europe/Berlin, or UTC"))
    try:
        if len(cron.split()) != 5:
            raise CronSimError("five fields are needed")
        next(CronSim(cron, datetime.now(UTC)))
    except CronSimError as error:
        errors.append(FieldError("cron", f"is no cron expression ({error}): write five fields, such as 30 6 * * 1-5"))
    except StopIteration:
        errors.append(FieldError("cron", "is a time that never comes"))
    if errors:
        raise Invalid("The schedule can't be kept so.", errors=errors)


def times_after(cron: str, time_zone: str, moment: datetime, *, count: int) -> list[datetime]:
    """The next `count` times after `moment`, in UTC."""
    return list(islice(times(cron, time_zone, moment), count))


def next_time(cron: str, time_zone: str, moment: datetime) -> datetime:
    return next(times(cron, time_zone, moment))


def times(cron: str, time_zone: str, moment: datetime) -> Iterator[datetime]:
    """All times after `moment`, without end, in UTC."""
    for found in CronSim(cron, moment.astimezone(ZoneInfo(time_zone))):
        yield found.astimezone(UTC)

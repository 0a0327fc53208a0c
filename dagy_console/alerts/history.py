"""What a rule would have done: its measure over the last days, and when it would have fired.

Counts add up: they are read once, by buckets of the time between two checks of the rule, and the windows slide over
them, so that the answer is what checks at those moments would have found. Other measures are asked for at so many
moments.
"""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial, reduce
from itertools import accumulate
from math import isnan

from dagy_console.alerts import checking, lifecycle, measures
from dagy_console.alerts.measures import Asked, Broken, Measure
from dagy_console.alerts.measures.rows import Bucket, RowsMeasure
from dagy_console.alerts.models import FLAPS, FLAPS_WITHIN, QUIET, NoData, Op, Rule
from dagy_console.core.errors import Invalid

DAYS = 7
# Of measures that don't add up; and points of a chart.
MOMENTS, POINTS = 500, 168
# Coarser, where there are more buckets than this.
MOST_BUCKETS = 60_000
COARSER = (1, 6, 60)

NO_DATA = float("nan")
# Moments at which a value changes, and what it is from then on; and that for each value of the dimensions.
Steps = list[tuple[datetime, float]]
Series = dict[tuple[str, ...], Steps]


@dataclass(frozen=True, slots=True)
class Firing:
    """`until` is None where it would still fire."""

    dimensions: dict[str, str]
    since: datetime
    until: datetime | None
    peak: float

    @property
    def label(self) -> str:
        return lifecycle.label_of(self.dimensions)


@dataclass(frozen=True, slots=True)
class History:
    """`points` are the worst of each part of the span, over all values of the dimensions. `share`: of the span in which
    the condition held, 0 to 1. `step`: how far apart the moments are that were looked at."""

    start: datetime
    end: datetime
    step: timedelta
    firings: list[Firing]
    points: list[tuple[datetime, float | None]]
    share: float

    def worst(self, rule: Rule) -> float | None:
        """What came closest to the limit, or went furthest beyond it; None without data."""
        known = [value for _, value in self.points if value is not None]
        return reduce(partial(lifecycle.worse, rule), known) if known else None


def history(rule: Rule, now: datetime, *, days: int = DAYS) -> History:
    """Raises Invalid where it has none, or can't be looked at in time."""
    end = now.replace(microsecond=0) - timedelta(seconds=now.second % checking.CHECK_SECONDS)
    start = end - timedelta(days=days)
    step, series = _looked_back(rule, start, end)
    return History(
        start,
        end,
        step,
        sorted(_all_firings(rule, series, end, step), key=lambda firing: firing.since, reverse=True),
        _points(rule, series, start, end),
        _share(rule, series, start, end),
    )


def firings(rule: Rule, start: datetime, end: datetime) -> list[Firing]:
    """When it would have fired from then to then. Raises Invalid as `history` does."""
    step, series = _looked_back(rule, start, end)
    return list(_all_firings(rule, series, end, step))


def _looked_back(rule: Rule, start: datetime, end: datetime) -> tuple[timedelta, Series]:
    measure = measures.get(rule.measure)
    if not measure.has_history:
        raise Invalid.field("measure", f"{measure.name} has no history: it is what is found at a check")
    if isinstance(measure, RowsMeasure) and measure.adds_up:
        step, series = _by_buckets(measure, rule, start, end)
    else:
        step, series = _by_moments(measure, rule, start, end)
    return step, series or {(): []}


def _all_firings(rule: Rule, series: Series, end: datetime, step: timedelta) -> Iterator[Firing]:
    for key, steps in series.items():
        yield from _firings(rule, _dimensions(rule, key), steps, end, step)


def _by_buckets(measure: RowsMeasure, rule: Rule, start: datetime, end: datetime) -> tuple[timedelta, Series]:
    windows = 2 if rule.op == Op.CHANGE else 1
    window = timedelta(seconds=rule.window_seconds)
    asked = Asked(rule.query, rule.org_id, tuple(rule.group_by), start - windows * window, end)
    step, found = _as_fine_as_can_be(measure, asked, checking.every(rule))
    by_key: dict[tuple[str, ...], list[tuple[datetime, float]]] = defaultdict(list)
    for key, at, count in found:
        by_key[key].append((at, count))
    if not by_key and not rule.group_by:
        by_key[()] = []
    return step, {key: _slid(rule, buckets, start, end, step) for key, buckets in by_key.items()}


def _as_fine_as_can_be(
    measure: RowsMeasure, asked: Asked, least: timedelta, coarser: Sequence[int] = COARSER
) -> tuple[timedelta, list[Bucket]]:
    step = least * coarser[0]
    found = measure.buckets(asked, step, most=MOST_BUCKETS + 1)
    if isinstance(found, Broken):
        raise Invalid.field("query", found.problem)
    if len(found) <= MOST_BUCKETS:
        return step, found
    if len(coarser) == 1:
        raise Invalid.field("group_by", f"has more than {MOST_BUCKETS:,} values over time: that can't be looked at")
    return _as_fine_as_can_be(measure, asked, least, coarser[1:])


def _slid(
    rule: Rule, buckets: Sequence[tuple[datetime, float]], start: datetime, end: datetime, step: timedelta
) -> Steps:
    times = [at for at, _ in buckets]
    sums = [0.0, *accumulate(count for _, count in buckets)]
    window = timedelta(seconds=rule.window_seconds)

    def before(moment: datetime) -> float:
        return sums[bisect_left(times, moment)]

    def value(moment: datetime) -> float:
        current = before(moment) - before(moment - window)
        earlier = before(moment - window) - before(moment - 2 * window)
        return checking.compared(rule, current, earlier)

    lags = (timedelta(), window, 2 * window) if rule.op == Op.CHANGE else (timedelta(), window)
    moments = {at + step + lag for at in times for lag in lags}
    return [(moment, value(moment)) for moment in sorted({start, *(one for one in moments if start < one <= end)})]


def _by_moments(measure: Measure, rule: Rule, start: datetime, end: datetime) -> tuple[timedelta, Series]:
    count = max(1, min(MOMENTS, (end - start) // checking.every(rule)))
    step = (end - start) / count
    moments = [start + step * number for number in range(count + 1)]
    current = measure.values([checking.asked(rule, moment) for moment in moments])
    window = timedelta(seconds=rule.window_seconds)
    changes = rule.op == Op.CHANGE
    earlier = measure.values([checking.asked(rule, moment - window) for moment in moments]) if changes else current
    found: list[dict[tuple[str, ...], float]] = []
    for values, before in zip(current, earlier, strict=True):
        if isinstance(values, Broken) or isinstance(before, Broken):
            raise Invalid.field("query", values.problem if isinstance(values, Broken) else "can't be looked back at")
        found.append({key: checking.compared(rule, one, before.get(key)) for key, one in values.items()})
    keys = {key for values in found for key in values} | (set() if rule.group_by else {()})
    return step, {key: list(_with_gaps(rule, key, zip(moments, found, strict=True))) for key in keys}


def _with_gaps(
    rule: Rule, key: tuple[str, ...], found: Iterable[tuple[datetime, dict[tuple[str, ...], float]]]
) -> Iterator[tuple[datetime, float]]:
    """NO_DATA where there is none, or what was before it."""
    last = NO_DATA
    for moment, values in found:
        last = values.get(key, last if rule.no_data == NoData.KEEP else NO_DATA)
        yield moment, last


def _dimensions(rule: Rule, key: tuple[str, ...]) -> dict[str, str]:
    return dict(zip(rule.group_by, key, strict=True)) if key else {}


def _spans(rule: Rule, steps: Steps) -> Iterator[tuple[datetime, datetime | None, float]]:
    """From when to when the condition held (None: it still does), and the worst then."""
    since, worst = None, 0.0
    for at, value in steps:
        if _holds(rule, value):
            worst = value if since is None else lifecycle.worse(rule, worst, value)
            since = since or at
        elif since:
            yield since, at, worst
            since = None
    if since:
        yield since, None, worst


def _holds(rule: Rule, value: float) -> bool:
    if isnan(value):
        return rule.no_data == NoData.ALERT and not rule.group_by
    return lifecycle.is_breach(rule, value)


def _firings(rule: Rule, dimensions: dict[str, str], steps: Steps, end: datetime, step: timedelta) -> Iterator[Firing]:
    """As the checks have it: one that flaps is held open, and goes on where the condition holds again meanwhile."""
    wait = -(-timedelta(seconds=rule.for_seconds) // step) * step
    fired: list[datetime] = []
    held: Firing | None = None
    for since, until, worst in _spans(rule, steps):
        if held and held.until and since < held.until:
            held = replace(held, until=until + QUIET if until else None, peak=lifecycle.worse(rule, held.peak, worst))
            continue
        if held:
            yield held
            held = None
        over = until or end + step
        began = _watched_from(rule, since, over)
        if began is None or began + wait >= over:
            continue
        fired = [at for at in fired if at > began + wait - FLAPS_WITHIN] + [began + wait]
        firing = Firing(dimensions, began + wait, until, worst)
        if len(fired) < FLAPS:
            yield firing
        else:
            held = replace(firing, until=until + QUIET if until else None)
    if held:
        yield held if held.until is None or held.until <= end else replace(held, until=None)


def _watched_from(rule: Rule, since: datetime, until: datetime) -> datetime | None:
    """The first moment of the span at which the rule watches."""
    moment = since
    while moment < until:
        if lifecycle.watches(rule, moment):
            return moment
        moment = moment.replace(second=0) + timedelta(minutes=1)
    return None


def _share(rule: Rule, series: Series, start: datetime, end: datetime) -> float:
    """Of the value of the dimensions for which it held longest."""
    held = [
        sum(((until or end) - since for since, until, _ in _spans(rule, steps)), timedelta())
        for steps in series.values()
    ]
    return max(held) / (end - start)


def _points(rule: Rule, series: Series, start: datetime, end: datetime) -> list[tuple[datetime, float | None]]:
    width = (end - start) / POINTS
    worst: list[float | None] = [None] * POINTS
    for steps in series.values():
        times = [at for at, _ in steps]
        for number in range(POINTS):
            # With the value that it begins with.
            first = max(0, bisect_right(times, start + width * number) - 1)
            for _, value in steps[first : bisect_left(times, start + width * (number + 1))]:
                known = worst[number]
                if not isnan(value):
                    worst[number] = value if known is None else lifecycle.worse(rule, known, value)
    return [(start + width * number, value) for number, value in enumerate(worst)]

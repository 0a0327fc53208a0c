"""Runs that are not where they should be by now, each kind with what helps."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from django.db import connection
from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from dagy_console.core import leases
from dagy_console.core.health import Status
from dagy_console.core.words import counted
from dagy_console.runs.models import Run, RunStatus
from dagy_console.runs.queueing import held_back

SHOWN = 50
QUEUED_SECONDS = 60
CANCELLING_SECONDS = 30
LOST_SECONDS = 30
# A flow's usual time is known from so many of its latest runs that succeeded, if there are at least so few.
_LATEST, _FEWEST = 200, 20
# Less is not worth a look, and this is long for a flow whose usual time is not known.
_SHORTEST_SECONDS, _LONG_SECONDS = 60, 86_400
_OVER = """
WITH running AS (
  SELECT id, flow_id, now() - started_at AS time FROM runs_run
  WHERE status = 'RUNNING' AND started_at < now() - make_interval(secs => %(shortest)s)
), usual AS (
  SELECT flow_id, count(*) AS runs, percentile_cont(0.99) WITHIN GROUP (ORDER BY time) AS p99
  FROM (SELECT DISTINCT flow_id FROM running) flow CROSS JOIN LATERAL (
    SELECT ended_at - started_at AS time FROM runs_run
    WHERE flow_id = flow.flow_id AND status = 'SUCCEEDED' AND trigger <> 'local'
    ORDER BY created_at DESC, id DESC LIMIT %(latest)s
  ) latest GROUP BY flow_id
)
SELECT running.id FROM running LEFT JOIN usual ON usual.flow_id = running.flow_id AND usual.runs >= %(fewest)s
WHERE running.time > coalesce(usual.p99, make_interval(secs => %(long)s))
"""


@dataclass(frozen=True, slots=True)
class Stuck:
    """`kind` is the API's name of it; `runs` are the first of those that the asker may see, oldest first."""

    kind: str
    title: str
    advice: str
    count: int
    runs: list[Run]


def stuck(visible: QuerySet[Run]) -> list[Stuck]:
    """Every kind, of the runs in `visible`."""
    return [_found(kind, visible.filter(rows())) for kind, rows in _KINDS.items()]


def _found(kind: str, rows: QuerySet[Run]) -> Stuck:
    title, advice = _WORDS[kind]
    first = list(rows.order_by("created_at", "pk")[:SHOWN])
    return Stuck(kind, title, advice, len(first) if len(first) < SHOWN else rows.count(), first)


def check() -> tuple[Status, str]:
    """For /health."""
    counts = [(one.title.lower(), one.count) for one in stuck(Run.objects.all())]
    said = [f"{count:,} {title}" for title, count in counts if count]
    if not said:
        return Status.HEALTHY, "none is stuck"
    return Status.DEGRADED, f"{counted(sum(count for _, count in counts), 'run')} stuck: {', '.join(said)}"


def any_kind() -> Q:
    """Of the runs as they are now."""
    found = Q()
    for rows in _KINDS.values():
        found |= rows()
    return found


def _queued() -> Q:
    late = Q(status=RunStatus.QUEUED, created_at__lt=Now() - timedelta(seconds=QUEUED_SECONDS))
    return late & leases.free() & ~held_back()


def _overrun() -> Q:
    with connection.cursor() as cursor:
        cursor.execute(
            _OVER,
            {"shortest": _SHORTEST_SECONDS, "latest": _LATEST, "fewest": _FEWEST, "long": _LONG_SECONDS},
        )
        return Q(pk__in=[row[0] for row in cursor.fetchall()])


def _cancelling() -> Q:
    late = Q(cancel_requested_at__lt=Now() - timedelta(seconds=CANCELLING_SECONDS))
    return late & Q(status=RunStatus.CANCELLING) & ~leases.free()


def _lost() -> Q:
    late = Q(lease_until__lt=Now() - timedelta(seconds=LOST_SECONDS))
    return late & Q(status__in=(RunStatus.RUNNING, RunStatus.CANCELLING))


_KINDS: dict[str, Callable[[], Q]] = {
    "queued": _queued,
    "overrun": _overrun,
    "cancelling": _cancelling,
    "lost": _lost,
}
_WORDS = {
    "queued": (
        "Queued for too long",
        f"No worker has taken them in {QUEUED_SECONDS} s. See that workers are up and serve their queue (“runs”, or "
        "“runs.” and its name), and that they are not all busy. A run that nobody wants any more can be cancelled.",
    ),
    "overrun": (
        "Running for longer than usual",
        "They take longer than 99 of 100 of their flow's latest runs that succeeded, or more than a day. Read the end "
        "of the log; cancel what hangs.",
    ),
    "cancelling": (
        "Cancelling for too long",
        "Their worker lives, and has not ended them. Cancel again: where the worker is gone by now, that ends them.",
    ),
    "lost": (
        "Without a worker",
        "Their worker is gone, and no other has told of it yet: see that beat and a worker are up. Cancelling ends "
        "them at once.",
    ),
}

"""Figures of runs for Prometheus."""

from django.db.models import Count, Min

from dagy_console.core.metrics import Gauge
from dagy_console.core.times import seconds_since
from dagy_console.runs import queueing
from dagy_console.runs.models import UNFINISHED_RUNS, Run


def gauges() -> list[Gauge]:
    return [
        Gauge("dagy_runs", "Runs that have not ended.", _unfinished, label="status"),
        Gauge("dagy_runs_lag_seconds", "Age of the oldest run that could begin; 0: none could.", _lag),
    ]


def _unfinished() -> dict[str, int]:
    rows = Run.objects.filter(status__in=UNFINISHED_RUNS).values_list("status").annotate(Count("pk")).order_by()
    return dict.fromkeys(map(str, UNFINISHED_RUNS), 0) | dict(rows)


def _lag() -> float:
    return seconds_since(queueing.ready().aggregate(Min("created_at"))["created_at__min"]) or 0

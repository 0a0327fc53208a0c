"""What rules can watch of runs. A run of somebody's own machine is nobody else's trouble: it is in none of them."""

from datetime import datetime
from typing import Any

from django.db.models import Avg, Case, DurationField, ExpressionWrapper, F, FloatField, Max, Q, QuerySet, Value, When
from django.db.models.expressions import Combinable
from django.db.models.functions import Coalesce, Extract, Least

from dagy_console.alerts.measures import PERCENT, SECOND, Asked
from dagy_console.alerts.measures.rows import RowsMeasure, RowsNow
from dagy_console.core.permissions import Permission
from dagy_console.runs import stuck
from dagy_console.runs.models import LOCAL, RUNS_UNDER_WAY, UNFINISHED_RUNS, Run, RunStatus
from dagy_console.runs.search import RUNS


class _OfRuns(RowsMeasure):
    permission = Permission.RUNS_READ
    listing = RUNS
    time = "ended_at"

    def rows(self) -> QuerySet[Any]:
        return Run.objects.exclude(trigger=LOCAL)

    def of(self, rows: QuerySet[Any], org_id: str) -> QuerySet[Any]:
        return rows.filter(organization=org_id)


class RunFailed(_OfRuns):
    name, label, unit = "run_failed", "Failed runs", "run"
    help = "Runs that ended as failed."

    def details(self, asked: Asked) -> dict[str, str]:
        last = self.found(asked).select_related("flow").order_by("-ended_at").first()
        return {"last": f"{last.flow.name}: {last.reason}"} if last else {}

    def rows(self) -> QuerySet[Any]:
        return super().rows().filter(status=RunStatus.FAILED)


class FailureRate(_OfRuns):
    name, label, unit = "failure_rate", "Share of runs that fail", PERCENT
    help = "Of the runs that ended, those that failed, in percent; without any, there is no data."
    is_count, adds_up = False, False

    def value(self, start: datetime, end: datetime) -> Combinable:
        return Avg(Case(When(status=RunStatus.FAILED, then=100.0), default=0.0, output_field=FloatField()))


class _Seconds(_OfRuns):
    unit = SECOND
    is_count, adds_up = False, False


class RunDuration(_Seconds):
    name, label = "run_duration", "Longest run"
    help = "How long the longest run takes, or took, of those that ended in the window or are still under way."

    def within(self, start: datetime, end: datetime) -> Q:
        goes_on = Q(ended_at__isnull=True, status__in=RUNS_UNDER_WAY)
        return Q(started_at__lt=end) & (Q(ended_at__gte=start) | goes_on)

    def value(self, start: datetime, end: datetime) -> Combinable:
        return _longest("started_at", Coalesce("ended_at", Value(end)), end)


class QueueWait(_Seconds):
    name, label = "queue_wait", "Longest wait for a worker"
    help = "How long the run waits, or waited, that waited longest, of those that started in the window or wait still."

    def within(self, start: datetime, end: datetime) -> Q:
        waits = Q(started_at__isnull=True, status=RunStatus.QUEUED)
        return Q(created_at__lt=end) & (Q(started_at__gte=start) | waits)

    def value(self, start: datetime, end: datetime) -> Combinable:
        return _longest("created_at", Coalesce("started_at", Value(end)), end)


class NoSuccessSince(_Seconds):
    name, label = "no_success_since", "Time without a success"
    help = "How long ago a run succeeded last, looking back no further than the window; each flow that had runs in it."

    def value(self, start: datetime, end: datetime) -> Combinable:
        last = Max("ended_at", filter=Q(status=RunStatus.SUCCEEDED))
        return Extract(_span(Coalesce(last, Value(start)), Value(end)), "epoch")

    def of_nothing(self, asked: Asked) -> float:
        return (asked.end - asked.start).total_seconds()


class RunStuck(RowsNow, _OfRuns):
    name, label, unit = "run_stuck", "Stuck runs", "run"
    help = "Runs that are not where they should be by now, as the page of runs says."

    def rows(self) -> QuerySet[Any]:
        return super().rows().filter(status__in=UNFINISHED_RUNS)

    def within(self, start: datetime, end: datetime) -> Q:
        return stuck.any_kind()


def _longest(since: str, until: Combinable, end: datetime) -> Combinable:
    return Extract(Max(_span(F(since), Least(until, Value(end)))), "epoch")


def _span(since: Any, until: Any) -> Combinable:
    return ExpressionWrapper(until - since, output_field=DurationField())

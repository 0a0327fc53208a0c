"""The list of keys that a deletion could not delete goes long after its job has ended; the job itself stays."""

from datetime import timedelta

from django.conf import settings
from django.utils import timezone

from dagy_console.celery import app
from dagy_console.core.jobs import JobState
from dagy_console.exceptions.models import DeletionError, DeletionJob
from dagy_console.exceptions.tasks import remove_old_errors


def job_with_an_error(*, ended_days_ago: int | None) -> DeletionJob:
    now = timezone.now()
    ended = None if ended_days_ago is None else now - timedelta(days=ended_days_ago)
    job = DeletionJob.objects.create(
        state=JobState.RUNNING if ended is None else JobState.FAILED,
        cutoff=now - timedelta(days=200),
        matched=1,
        actor={"email": "alice@dagy.example"},
        finished_at=ended,
    )
    DeletionError.objects.create(job=job, key="exceptions/a", code="AccessDenied", message="no")
    return job


def test_errors_of_jobs_that_ended_long_ago_go_and_the_others_stay(db):
    job_with_an_error(ended_days_ago=91)
    kept = {job_with_an_error(ended_days_ago=89).pk, job_with_an_error(ended_days_ago=None).pk}
    remove_old_errors()
    assert set(DeletionError.objects.values_list("job_id", flat=True)) == kept
    assert DeletionJob.objects.count() == 3


def test_every_task_of_the_schedule_exists():
    app.loader.import_default_modules()
    assert {entry["task"] for entry in settings.CELERY_BEAT_SCHEDULE.values()} <= set(app.tasks)
    assert "exceptions.remove_old_errors" in {entry["task"] for entry in settings.CELERY_BEAT_SCHEDULE.values()}

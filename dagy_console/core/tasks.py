"""Celery entries of what every app stands on."""

import uuid

from celery import shared_task
from django.utils import timezone

from dagy_console.core import health, idempotency, jobs, mail
from dagy_console.core.partitions import PARTITIONED, ensure_partitions, first_of_month


@shared_task(name="core.heartbeat")
def heartbeat() -> None:
    """Sent by beat and run by a worker: beat lives. Workers tell of themselves (dagy_console.celery)."""
    health.beat("beat")


@shared_task(name="core.check_health")
def check_health() -> None:
    """What /health and the pages show."""
    health.make_report()


@shared_task(name="core.make_partitions")
def make_partitions() -> None:
    """This month's and the next three months' partitions, ahead of the rows."""
    months = [first_of_month(timezone.now(), months=ahead) for ahead in range(4)]
    for table in sorted(PARTITIONED):
        ensure_partitions(table, *months)


@shared_task(name="core.remove_old_mails")
def remove_old_mails() -> None:
    mail.remove_old()


@shared_task(name="core.run_job")
def run_job(kind: str, job_id: str) -> None:
    jobs.run(kind, uuid.UUID(job_id))


@shared_task(name="core.resume_jobs")
def resume_jobs() -> None:
    """Put jobs whose worker died, whose message was lost, or that wait for a server, back to work."""
    jobs.resume()


@shared_task(name="core.remove_old_answers")
def remove_old_answers() -> None:
    """Daily housekeeping: the answers to requests with an Idempotency-Key."""
    idempotency.remove_old()

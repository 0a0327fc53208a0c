"""The Celery application. Tasks live in each app's tasks.py; the schedule is in settings.CELERY_BEAT_SCHEDULE."""

import os
from contextlib import suppress
from typing import Any

import redis
from celery import Celery
from celery.signals import heartbeat_sent, setup_logging, task_revoked

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dagy_console.settings")

app = Celery("dagy_console")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
app.autodiscover_tasks(related_name="outside")


@setup_logging.connect
def _keep_djangos_logging(**_: object) -> None:
    """A receiver of this signal stops Celery from replacing the logging that Django has set up."""


@heartbeat_sent.connect
def _worker_lives(**_: object) -> None:
    """For /health. Where Redis is down there is nothing to tell, and the broker's own errors say it."""
    from dagy_console.core import health

    try:
        health.beat("worker")
    except redis.RedisError:
        return


@task_revoked.connect
def _period_missed(sender: Any, expired: bool = False, **_: object) -> None:
    """A periodic task whose period was over before a worker came to it."""
    from dagy_console.core import health

    # Others expire on purpose: a run is handed over anew by then.
    if not expired or sender.name not in {entry["task"] for entry in app.conf.beat_schedule.values()}:
        return
    with suppress(redis.RedisError):
        health.note_missed(sender.name)

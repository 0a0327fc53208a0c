"""The Celery application. Tasks live in each app's tasks.py; the schedule is in settings.CELERY_BEAT_SCHEDULE."""

import os

import redis
from celery import Celery
from celery.signals import heartbeat_sent, setup_logging

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dagy_console.settings")

app = Celery("dagy_console")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


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

"""Health is checked by a worker and read by everybody else: at once, and with its age."""

import json
import time

import pytest

from dagy_console.core import health
from dagy_console.core.health import REPORT_KEY, Component, Health, Status, redis_client
from dagy_console.core.tasks import check_health


def parts_of(report: Health) -> dict[str, Component]:
    return {part.name: part for part in report.components}


def test_nobody_who_asks_makes_the_checks(client, db, bucket, monkeypatch):
    check_health()
    asked = []
    for name in list(health._checks):
        monkeypatch.setitem(health._checks, name, lambda: asked.append(1))
    assert client.get("/health").status_code in {200, 503}
    assert not asked


def test_what_was_never_checked_is_degraded(client, db):
    report = health.report()
    assert report.status is Status.DEGRADED
    assert "nothing was checked" in parts_of(report)["checks"].message


def test_an_old_report_says_how_old_it_is(client, db, bucket):
    check_health()
    kept = json.loads(redis_client().get(REPORT_KEY))
    redis_client().set(REPORT_KEY, json.dumps(kept | {"at": time.time() - 90}))
    parts = parts_of(health.report())
    assert parts["checks"].status is Status.DEGRADED
    assert "made 90 s ago" in parts["checks"].message
    assert parts["s3"].message.startswith("90 s ago: ")


def test_an_unhealthy_part_is_a_503_for_everybody(client, db, bucket, monkeypatch):
    def refuse():
        raise OSError("gone")

    monkeypatch.setitem(health._checks, "database", refuse)
    check_health()
    assert client.get("/health").status_code == 503


@pytest.mark.parametrize("url", ["redis://127.0.0.1:9/0"])
def test_without_redis_the_answer_comes_at_once_and_says_so(client, settings, url):
    settings.REDIS_URL = url
    redis_client.cache_clear()
    try:
        began = time.monotonic()
        answer = client.get("/health")
        assert time.monotonic() - began < 1
    finally:
        settings.REDIS_URL = settings._wrapped.default_settings.REDIS_URL
        redis_client.cache_clear()
    parts = {part["name"]: part for part in answer.json()["components"]}
    assert parts["redis"]["status"] == "degraded"
    assert "Redis does not answer" in parts["redis"]["message"]
    assert parts["rate limit"]["status"] == "degraded"
    assert "takes every request" in parts["rate limit"]["message"]
    assert answer.json()["status"] == "degraded"


def test_health_says_what_the_api_is_limited_to(client, db, settings):
    check_health()
    assert parts_of(health.report())["rate limit"].message == "120 requests a minute, 200 at once"
    settings.RATE_LIMIT_PER_MINUTE = 0
    assert parts_of(health.report())["rate limit"].message.startswith("off: ")

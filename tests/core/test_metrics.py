"""What Prometheus reads: lags, failures and states, by who may."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from dagy_console.accounts.models import Organization
from dagy_console.alerts.models import Alert, Channel, CheckerState, Delivery, Rule
from dagy_console.core import metrics
from dagy_console.core.metrics import Gauge
from dagy_console.core.models import OutgoingMail
from dagy_console.core.tasks import check_health
from dagy_console.runs.models import Run
from tests.runs.support import a_run


def read(client: Client) -> dict[tuple[str, ...], float]:
    """(name, label's value …) -> figure, as Prometheus parses it."""
    answer = client.get("/metrics")
    assert answer.status_code == 200 and answer["Content-Type"].startswith("text/plain; version=0.0.4")
    families = text_string_to_metric_families(answer.content.decode())
    return {(one.name, *one.labels.values()): one.value for family in families for one in family.samples}


def near(figure: float, expected: float) -> bool:
    return expected <= figure < expected + 30


def test_lags_of_checks_and_of_what_is_to_be_sent_are_told(client: Client, db: None) -> None:
    ago = lambda seconds: timezone.now() - timedelta(seconds=seconds)  # noqa: E731
    Rule.objects.create(name="a", measure="run_failed", window_seconds=60, op="above", value=1, severity="critical")
    rule = Rule.objects.create(
        name="b", measure="x", window_seconds=60, op="above", value=1, severity="info", problem="it broke"
    )
    Alert.objects.create(rule=rule, status="firing", value=1, peak=1, since=ago(5))
    channel = Channel.objects.create(name="c", channel_type="webhook", failing_since=ago(5))
    told = {"channel": channel, "subject": "s", "message": {}}
    Delivery.objects.create(key="1", created_at=ago(200), **told)
    Delivery.objects.create(key="2", status="dead", next_at=None, **told)
    CheckerState.objects.update_or_create(pk=1, defaults={"ended_at": ago(90), "seconds": 1.25})
    OutgoingMail.objects.create(to=["a@b.example"], created_at=ago(50))
    OutgoingMail.objects.filter().update(created_at=ago(50))
    found = read(client)
    assert near(found["dagy_alert_round_age_seconds",], 90) and found["dagy_alert_round_seconds",] == 1.25
    assert (found["dagy_alert_rules",], found["dagy_alert_rules_failing",]) == (2, 1)
    assert [found["dagy_alerts_firing", severity] for severity in ("info", "warning", "critical")] == [1, 0, 0]
    assert found["dagy_notifications_waiting",] == 1 and near(found["dagy_notifications_lag_seconds",], 200)
    assert (found["dagy_notifications_dead",], found["dagy_channels_failing",]) == (1, 1)
    assert near(found["dagy_mails_lag_seconds",], 50)


def test_runs_and_components_are_told_of(client: Client, db: None) -> None:
    Organization.objects.create(id="org_blue", name="Blue")
    a_run("org_blue")
    Run.objects.update(status="RUNNING")
    check_health()
    found = read(client)
    assert found["dagy_runs", "RUNNING"] == 1 and found["dagy_runs_lag_seconds",] == 0
    assert found["dagy_component_state", "database"] == 0
    assert found["dagy_metrics_unread",] == 0


def test_a_figure_that_can_not_be_read_takes_no_other_with_it(
    client: Client, db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> float:
        raise OSError

    monkeypatch.setitem(metrics._gauges, "dagy_alert_rules", Gauge("dagy_alert_rules", "…", refuse))
    found = read(client)
    assert found["dagy_metrics_unread",] == 1 and ("dagy_notifications_waiting",) in found
    assert ("dagy_alert_rules",) not in found


@pytest.fixture
def without_token(settings: Any) -> Iterator[None]:
    settings.METRICS_TOKEN = ""
    yield


@pytest.mark.parametrize(
    ("peer", "forwarded", "status"),
    [
        ("127.0.0.1", "", 200),
        ("10.3.0.7", "", 200),
        ("8.8.8.8", "", 401),
        ("127.0.0.1", "8.8.8.8", 401),
        ("127.0.0.1", "10.0.0.1, 8.8.8.8", 401),
        ("127.0.0.1", "nonsense", 401),
        ("127.0.0.1", "10.0.0.1", 200),
    ],
)
def test_without_a_token_only_internal_addresses_may_read(
    client: Client, db: None, without_token: None, peer: str, forwarded: str, status: int
) -> None:
    headers = {"X-Forwarded-For": forwarded} if forwarded else {}
    assert client.get("/metrics", headers=headers, REMOTE_ADDR=peer).status_code == status


def test_with_a_token_nobody_reads_without_it(client: Client, db: None, settings: Any) -> None:
    settings.METRICS_TOKEN = "correct-horse"
    refused = client.get("/metrics")
    assert refused.status_code == 401 and "DAGY_METRICS_TOKEN" in refused.json()["detail"]
    assert client.get("/metrics", headers={"Authorization": "Bearer correct"}).status_code == 401
    assert client.get("/metrics", headers={"Authorization": "Bearer correct-hörse"}).status_code == 401
    assert (
        client.get("/metrics", headers={"Authorization": "Bearer correct-horse"}, REMOTE_ADDR="8.8.8.8").status_code
        == 200
    )
    assert client.post("/metrics").status_code == 405

"""Runs of the demo are run, not made up."""

from typing import Any

import pytest

from dagy_console.demo import runs
from dagy_console.demo.people import make_people
from dagy_console.runs.models import LogLine, Run, Schedule


@pytest.fixture
def platform(committed: None, bucket: Any, settings: Any) -> Any:
    settings.ARTIFACTS_BUCKET = bucket.name
    settings.STORAGES = {**settings.STORAGES}
    make_people({})


@pytest.mark.slow("a dozen runs, each in a process of its own")
def test_the_flows_of_the_demo_end_in_every_way_and_one_hangs(platform: None) -> None:
    assert runs.run_flows() == Run.objects.count() == 11
    made = Run.objects.select_related("flow", "deployment").order_by("created_at")
    found = {(run.flow.name, run.version): (run.status, run.error_type) for run in made}
    assert found == {
        ("invoice_import", 1): ("SUCCEEDED", ""),
        ("invoice_import", 2): ("FAILED", "ValueError"),
        ("daily_report", 1): ("SUCCEEDED", ""),
        ("warehouse_export", 1): ("FAILED", "TaskTimeoutError"),
        ("demand_model", 1): ("FAILED", "ArtifactSerializationError"),
        ("stock_booking", 1): ("FAILED", "DependencyCycleError"),
        ("nightly_backup", 1): ("QUEUED", ""),
    }
    cancelled = Run.objects.get(status="CANCELLED")
    assert cancelled.reason.startswith("cancelled by lucius@wayne.example: it waits for a lock")
    assert all(run.log_lines for run in Run.objects.exclude(status="QUEUED"))
    assert LogLine.objects.filter(message="waiting for the lock of warehouse").count() == 1
    assert Schedule.objects.get().flow.name == "daily_report"
    assert runs.has_flows()

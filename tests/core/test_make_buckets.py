import uuid
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from dagy_console.core import storage


def _output() -> list[str]:
    out = StringIO()
    call_command("make_buckets", stdout=out)
    return out.getvalue().splitlines()


def test_missing_buckets_are_made_and_a_second_time_changes_nothing(settings: Any) -> None:
    settings.TRACES_BUCKET = traces = f"test-{uuid.uuid4().hex[:20]}"
    settings.ARTIFACTS_BUCKET = artifacts = f"test-{uuid.uuid4().hex[:20]}"
    assert _output() == [f"{traces}: made.", f"{artifacts}: made."]
    storage.check_bucket(traces)
    storage.check_bucket(artifacts)
    assert _output() == [f"{traces}: is there.", f"{artifacts}: is there."]


def test_a_bucket_without_a_name_is_left_out(settings: Any) -> None:
    settings.TRACES_BUCKET = settings.ARTIFACTS_BUCKET = ""
    assert _output() == ["DAGY_TRACES_BUCKET is not set: no bucket.", "DAGY_ARTIFACTS_BUCKET is not set: no bucket."]


def test_what_the_s3_server_refuses_is_said_with_the_variable_that_names_the_bucket(settings: Any) -> None:
    settings.TRACES_BUCKET = "Not_A_Bucket"
    with pytest.raises(CommandError, match="DAGY_TRACES_BUCKET: "):
        _output()

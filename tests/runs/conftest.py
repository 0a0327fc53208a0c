from typing import Any

import pytest
from django.db import connection

from tests.runs.place import Place


@pytest.fixture
def artifacts(bucket: Any, settings: Any) -> Any:
    """The bucket of this test is the one for bundles, too."""
    settings.ARTIFACTS_BUCKET = bucket.name
    settings.STORAGES = {**settings.STORAGES}  # makes them anew, for this bucket
    return bucket


@pytest.fixture
def place(committed: None, artifacts: Any, as_actor: Any) -> Any:
    yield Place(as_actor)
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM runs_logline; DELETE FROM runs_taskrun; DELETE FROM runs_run")
        cursor.execute("UPDATE runs_flow SET latest_id = NULL; DELETE FROM runs_deployment; DELETE FROM runs_flow")

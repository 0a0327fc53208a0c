from typing import Any

import pytest


@pytest.fixture
def artifacts(bucket: Any, settings: Any) -> Any:
    """The bucket of this test is the one for bundles, too."""
    settings.ARTIFACTS_BUCKET = bucket.name
    settings.STORAGES = {**settings.STORAGES}  # makes them anew, for this bucket
    return bucket

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from scripted import Script

from dagy.client import transport


@pytest.fixture(autouse=True)
def local_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Runs keep their files here, and speak to no server."""
    path = tmp_path / "dagy"
    monkeypatch.setenv("DAGY_LOCAL_DIR", str(path))
    for name in ("DAGY_API_URL", "DAGY_API_KEY", "DAGY_LOCAL_VERBOSE", "DAGY_LOCAL_ARTIFACT_MAX_BYTES"):
        monkeypatch.delenv(name, raising=False)
    return path


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Iterator[Script]:
    monkeypatch.setattr(transport, "_FIRST_WAIT", 0.01)
    server = Script()
    yield server
    server.close()

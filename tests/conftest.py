"""What all tests share: which of them need the console, and how long each may take."""

import os
from pathlib import Path
from typing import NoReturn

import pytest

from embedded.test import is_standalone

# `make test` names the servers, unless only standalone tests were asked for.
pytest_plugins = ["tests.timing", *(["tests.console"] if "DATABASE_URL" in os.environ else [])]


class _WithoutServers(pytest.Module):
    """A module that needs the servers of `make test` where there are none."""

    def collect(self) -> NoReturn:
        raise self.CollectError("Run these tests with `make test`: it starts the servers that they need.")


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> pytest.Module | None:
    if "DATABASE_URL" in os.environ or is_standalone(module_path):
        return None
    return _WithoutServers.from_parent(parent, path=module_path)

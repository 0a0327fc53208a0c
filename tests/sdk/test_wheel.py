"""The wheel that customers install: what is in it, and that it works in an environment with nothing else."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from sdk_support import ROOT

EXAMPLE = """
from dagy import LocalArtifact, RunContext, flow, task


@task(retries=1)
def extract(day: str, context: RunContext) -> list[int]:
    context.logger.info("extracting %s", day)
    if context.attempt == 1:
        raise ConnectionError("again")
    return [1, 2, 3]


@task(isolation="process")
def load(rows: list[int]) -> LocalArtifact:
    return LocalArtifact(data=str(len(rows)), name="count.txt")


@flow
def nightly(day: str):
    return load(extract(day))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("wheel")
    shutil.copytree(ROOT / "dagy", directory / "dagy", ignore=shutil.ignore_patterns("__pycache__"))
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(directory)]
    subprocess.run(build, cwd=directory / "dagy", check=True, capture_output=True, timeout=60)
    (built,) = directory.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The commands of an environment that holds the wheel alone."""
    venv = tmp_path_factory.mktemp("venv")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True, timeout=60)
    pip = [sys.executable, "-m", "pip", "--quiet", "--python", str(venv / "bin" / "python"), "install"]
    subprocess.run([*pip, "--no-index", "--no-deps", str(wheel)], check=True, capture_output=True, timeout=60)
    yield venv / "bin"


def run(installed: Path, tmp_path: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(installed / command[0]), *command[1:]],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_it_holds_the_package_and_nothing_else(wheel: Path) -> None:
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    sources = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "dagy").rglob("*")
        if path.suffix == ".py" or path.name == "py.typed"
    }
    assert names == sources


def test_it_says_what_it_is_and_needs_nothing(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    (metadata,) = (archive.read(name).decode() for name in archive.namelist() if name.endswith("/METADATA"))
    assert metadata.splitlines()[1:3] == ["Name: dagy", "Version: 0.1.0"]
    assert "Requires-Python: >=3.11" in metadata
    assert [line for line in metadata.splitlines() if line.startswith("Requires-Dist")] == [
        "Requires-Dist: boto3; extra == 's3'"
    ]


def test_a_flow_runs_where_nothing_else_is_installed(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "flows.py").write_text(EXAMPLE)
    done = run(installed, tmp_path, "dagy", "run", "flows.py", "-p", "day=2026-01-15")
    assert (done.returncode, done.stderr) == (0, "")
    assert "✓ SUCCEEDED" in done.stdout
    (run_id,) = (path.name for path in (tmp_path / ".dagy" / "runs").iterdir())
    assert (tmp_path / ".dagy" / "artifacts" / run_id / "load" / "count.txt").read_text() == "3"
    shown = run(installed, tmp_path, "dagy", "runs", "show")
    assert "2 attempts" in shown.stdout
    assert run(installed, tmp_path, "dagy", "--version").stdout == "dagy 0.1.0\n"


def test_every_module_imports_there_but_those_for_what_is_not_installed(installed: Path, tmp_path: Path) -> None:
    code = """
import importlib, pkgutil, dagy
for module in pkgutil.walk_packages(dagy.__path__, "dagy."):
    if module.name not in ("dagy.__main__", "dagy.capture.django"):
        importlib.import_module(module.name)
from dagy import *
import sys
print(sorted({name.split(".")[0] for name in sys.modules} & {"boto3", "django", "botocore"}))
"""
    done = run(installed, tmp_path, "python", "-c", code)
    assert (done.stdout, done.stderr) == ("[]\n", "")

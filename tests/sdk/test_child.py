"""A run in a child process that tells its parent over a pipe."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest
from sdk_support import ROOT

FLOWS = """
import logging, os, sys
from dagy import LocalArtifact, RunContext, flow, task
from lib import helper

@task(retries=1)
def extract(day: str, context: RunContext):
    logging.getLogger("app").info("extracting %s", day)
    if context.attempt == 1:
        raise ConnectionError("again")
    return {"rows": helper.ROWS}

@task
def report(found):
    return LocalArtifact(data="<b>3</b>", name="report.html")

@flow(version="7")
def nightly(day: str = "today", rows: int = 5):
    report(extract(day))

@flow
def needs(day: str): ...

@task
def waits(context: RunContext):
    context.wait(60)
    raise InterruptedError

@flow
def slow():
    waits()

@task
def talks():
    logging.getLogger("app").warning("x" * 200_000 + "\\0\\x1b[31m\\ud800")
    os.write(1, b"raw output")

@flow
def talkative():
    talks()

@task
def large():
    return "x" * 5000

@flow
def too_large():
    large()

@task
def eats():
    return len(bytearray(2_000_000_000))

@task
def writes():
    with open("written", "wb") as file:
        file.write(b"x" * 200_000)

@flow
def greedy():
    eats()
    writes()
"""


class Child:
    def __init__(
        self, code: Path, spool: Path, entrypoint: str, *, graph: bool = False, limits: Any = None, **options: Any
    ) -> None:
        self.read, write = os.pipe()
        run = {
            "parameters": {},
            "run_id": "r1",
            "trigger": "api",
            "max_workers": 2,
            "fail_fast": False,
            "grace_seconds": 0.5,
            "max_artifact_bytes": 4000,
            "silence_seconds": 20,
            "reused_from": None,
            "reused": {},
            "secrets": {},
            **options,
        }
        request = {
            "fd": write,
            "code": str(code),
            "entrypoint": entrypoint,
            "spool": str(spool),
            "limits": limits or {},
            "run": None if graph else run,
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "dagy.child"],
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=[write],
        )
        os.close(write)
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(request).encode() + b"\n")
        self.process.stdin.flush()

    def messages(self) -> Iterator[dict[str, Any]]:
        with os.fdopen(self.read, "rb") as lines:
            yield from map(json.loads, lines)

    def all(self) -> list[dict[str, Any]]:
        found = list(self.messages())
        self.process.wait(20)
        return found


@pytest.fixture
def code(tmp_path: Path) -> Path:
    directory = tmp_path / "code"
    (directory / "lib").mkdir(parents=True)
    (directory / "flows.py").write_text(FLOWS)
    (directory / "lib" / "helper.py").write_text("ROWS = 3\n")
    return directory


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    directory = tmp_path / "spool"
    directory.mkdir()
    return directory


def of(messages: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [message for message in messages if message["kind"] == kind]


def test_a_run_tells_its_states_its_log_and_its_files(code: Path, spool: Path) -> None:
    child = Child(code, spool, "flows.py:nightly", parameters={"day": "2026-01-15"})
    messages = child.all()
    assert child.process.returncode == 0
    assert [message["record"]["status"] for message in of(messages, "run")] == ["RUNNING", "SUCCEEDED"]
    tasks = [(m["record"]["task_id"], m["record"]["status"]) for m in of(messages, "task")]
    assert tasks == [
        ("extract", "RUNNING"),
        ("extract", "PENDING"),
        ("extract", "RUNNING"),
        ("extract", "SUCCEEDED"),
        ("report", "RUNNING"),
        ("report", "SUCCEEDED"),
    ]
    assert of(messages, "run")[-1]["record"]["trigger"] == "api"
    assert [m["message"] for m in of(messages, "log") if "extracting" in m["message"]] == ["extracting 2026-01-15"] * 2
    stored = {(m["task_id"], m["name"]): m for m in of(messages, "stored")}
    assert set(stored) == {("extract", "output.json"), ("report", "report.html"), ("report", "output.json")}
    assert Path(stored["report", "report.html"]["path"]).read_text() == "<b>3</b>"
    assert stored["report", "report.html"]["content_type"] == "text/html"
    assert all(Path(message["path"]).parent == spool for message in stored.values())


def test_the_graph_is_read_without_running_a_task(code: Path, spool: Path) -> None:
    child = Child(code, spool, "flows.py:nightly", graph=True)
    (graph,) = child.all()
    assert child.process.returncode == 0
    assert graph == {
        "kind": "graph",
        "flow": "nightly",
        "version": "7",
        "parameters": [
            {"name": "day", "hint": "str", "required": False, "default": "'today'"},
            {"name": "rows", "hint": "int", "required": False, "default": "5"},
        ],
        "tasks": [
            {"task_id": "extract", "name": "extract", "depends_on": []},
            {"task_id": "report", "name": "report", "depends_on": ["extract"]},
        ],
        "problem": None,
    }
    (unknown,) = Child(code, spool, "flows.py:needs", graph=True).all()
    assert (unknown["tasks"], unknown["problem"]) == (None, "its graph depends on parameters without defaults: day")


@pytest.mark.parametrize(
    ("entrypoint", "parameters", "said"),
    [
        ("flows.py:nightly", {"dya": "x"}, "dya: is unknown (did you mean 'day'?)"),
        ("flows.py:nightly", {"rows": "x"}, "rows: expected int"),
        ("flows.py:nope", {}, "There is no flow 'nope'"),
        ("nope.py:nightly", {}, "There is no file nope.py"),
    ],
)
def test_what_can_not_run_is_refused(
    code: Path, spool: Path, entrypoint: str, parameters: dict[str, Any], said: str
) -> None:
    child = Child(code, spool, entrypoint, parameters=parameters)
    (refused,) = child.all()
    assert child.process.returncode == 3
    assert refused["kind"] == "refused"
    assert said in refused["message"]


def test_sigterm_cancels_the_run(code: Path, spool: Path) -> None:
    child = Child(code, spool, "flows.py:slow")
    messages = []
    for message in child.messages():
        messages.append(message)
        if message["kind"] == "log" and message["message"] == "Started":
            child.process.send_signal(signal.SIGTERM)
    assert child.process.wait(10) == 1
    last = of(messages, "run")[-1]["record"]
    assert (last["status"], last["tasks"][0]["status"]) == ("CANCELLED", "CANCELLED")


def test_a_child_ends_when_its_parent_is_gone(code: Path, spool: Path) -> None:
    child = Child(code, spool, "flows.py:slow")
    lines = os.fdopen(child.read, "rb")
    while b"Started" not in lines.readline():
        pass
    lines.close()
    assert child.process.wait(5) != 0


def test_a_child_ends_when_its_parent_is_silent(code: Path, spool: Path) -> None:
    began = monotonic()
    child = Child(code, spool, "flows.py:slow", silence_seconds=1.0)
    assert child.process.stdin is not None
    for _ in range(4):
        sleep(0.5)
        child.process.stdin.write(b".")
        child.process.stdin.flush()
    assert child.process.poll() is None
    assert child.process.wait(5) != 0
    assert monotonic() - began > 2.5


def test_what_is_logged_is_cut_and_stays_one_line(code: Path, spool: Path) -> None:
    child = Child(code, spool, "flows.py:talkative")
    messages = child.all()
    (long,) = [m["message"] for m in of(messages, "log") if m["message"].startswith("xxx")]
    assert len(long) < 101_000
    assert long.endswith("… (200,007 characters, cut)")
    assert child.process.stdout is not None
    assert child.process.stdout.read() == b"raw output"


def test_an_output_over_the_limit_fails_its_task(code: Path, spool: Path) -> None:
    messages = Child(code, spool, "flows.py:too_large").all()
    last = of(messages, "run")[-1]["record"]
    assert (last["status"], last["failure"]["error_type"]) == ("FAILED", "ArtifactSerializationError")


def test_a_task_that_takes_more_than_its_limits_fails_and_the_run_tells_so(code: Path, spool: Path) -> None:
    limits = {"memory_bytes": 1_000_000_000, "file_bytes": 100_000}
    messages = Child(code, spool, "flows.py:greedy", limits=limits).all()
    last = of(messages, "run")[-1]["record"]
    assert [(told["status"], told["error_type"]) for told in last["tasks"]] == [
        ("FAILED", "MemoryError"),
        ("FAILED", "OSError"),
    ]

"""The command line against a server, by the API's contract."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from scripted import Script

from dagy.cli import main

FULL = {
    "id": "0193-full",
    "status": "FAILED",
    "flow": {"id": "f1", "name": "nightly"},
    "version": "4",
    "parameters": {"day": "2026-01-15"},
    "started_at": "2026-01-15T03:00:00.000000Z",
    "duration_seconds": 12.5,
    "reason": "task 'load' ended FAILED",
    "failure": {
        "task_id": "load",
        "attempt": 2,
        "error_type": "ValueError",
        "message": "bad rows",
        "traceback": "Traceback (most recent call last):\nValueError: bad rows\n",
        "advice": "The task raised: read its log.",
    },
    "task_runs": [
        {"task_id": "extract", "status": "SUCCEEDED", "depends_on": [], "attempts": [{}], "duration_seconds": 2.0},
        {
            "task_id": "load",
            "status": "FAILED",
            "depends_on": ["extract"],
            "attempts": [{}, {}],
            "error_type": "ValueError",
        },
    ],
}
LINES = {
    "items": [
        {"sequence": 1, "time": "2026-01-15T03:00:01.000000Z", "level": "ERROR", "task_id": "load", "message": "no"}
    ]
}


@pytest.fixture
def dagy(script: Script, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    monkeypatch.setenv("DAGY_API_URL", script.url)
    monkeypatch.setenv("DAGY_API_KEY", "dagy_sk_1")

    def run(*words: str) -> tuple[int, str, str]:
        code = main(list(words))
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def test_a_flow_is_deployed_with_its_directory(dagy: Any, script: Script, tmp_path: Path) -> None:
    path = tmp_path / "flows.py"
    path.write_text("from dagy import flow\n@flow(name='Nightly load', version='2')\ndef nightly(): ...\n")
    script.answers = [(201, {"id": "d1", "version": 5})]
    code, out, _ = dagy("deploy", f"{path}:nightly")
    assert (code, out) == (0, "Deployed Nightly load: version 5, 1 files, deployment d1\n")
    (asked,) = script.asked
    assert asked.path.startswith("/deployments?flow=Nightly+load&entrypoint=flows.py%3Anightly&sha256=")
    assert asked.headers["authorization"] == "Bearer dagy_sk_1"
    assert zipfile.ZipFile(io.BytesIO(asked.body)).namelist() == ["flows.py"]


def test_a_run_is_triggered_with_parameters(dagy: Any, script: Script) -> None:
    script.answers = [(201, {"id": "r1", "status": "QUEUED", "flow": "nightly"})]
    code, out, _ = dagy("trigger", "nightly", "-p", "day=2026-01-15", "-p", "rows=[1]", "--org", "org_blue")
    assert code == 0
    assert "· QUEUED  run r1" in out
    assert "dagy logs r1 --follow" in out
    body = {"flow": "nightly", "parameters": {"day": "2026-01-15", "rows": [1]}, "org_id": "org_blue"}
    assert json.loads(script.asked[0].body) == body


def test_runs_are_listed_and_shown_as_local_ones_are(dagy: Any, script: Script) -> None:
    script.answers = [(200, {"items": [FULL], "next_cursor": None})]
    _, out, _ = dagy("runs", "list", "--status", "FAILED")
    assert script.asked[0].path == "/runs?status=FAILED&limit=20"
    assert "0193-full  FAILED  nightly" in out
    script.answers = [(200, FULL)]
    _, out, _ = dagy("runs", "show", "0193-full")
    assert "✗ FAILED  run 0193-full" in out
    assert "└ ✗ load" in out
    assert "2 attempts" in out
    assert "First failure: task load, attempt 2" in out
    assert json.loads(dagy("runs", "show", "0193-full", "--json")[1])["failure"]["message"] == "bad rows"


def test_logs_and_the_doctor_read_the_servers_log(dagy: Any, script: Script) -> None:
    script.answers = [(200, LINES)]
    _, out, _ = dagy("logs", "0193-full", "--task", "load", "--level", "ERROR")
    assert out == "2026-01-15T03:00:01.000000Z ERROR    [load] no\n"
    assert script.asked[0].path == "/runs/0193-full/logs?task_id=load&level=ERROR&limit=200"
    script.answers = [(200, FULL), (200, LINES)]
    _, out, _ = dagy("doctor", "0193-full")
    assert "Pattern: TaskFailedError" in out
    assert "[load] no" in out
    assert "Files" not in out


def test_a_run_is_cancelled_and_one_that_has_ended_is_not(dagy: Any, script: Script) -> None:
    script.answers = [(202, {"id": "r1", "status": "CANCELLING"})]
    code, out, _ = dagy("cancel", "r1", "--reason", "wrong day")
    assert (code, "CANCELLING  run r1" in out) == (0, True)
    assert json.loads(script.asked[0].body) == {"reason": "wrong day"}
    script.answers = [(409, {"title": "The run has ended", "detail": "It is FAILED."})]
    code, _, err = dagy("cancel", "r1")
    assert (code, "The run has ended (409): It is FAILED." in err) == (2, True)


def test_what_the_server_refuses_is_printed_and_has_its_exit_code(dagy: Any, script: Script) -> None:
    script.answers = [(404, {"title": "Not found", "detail": "There is no run 'x'."})]
    code, _, err = dagy("runs", "show", "x")
    assert (code, "There is no run 'x'." in err) == (3, True)
    script.answers = [(401, {"title": "Not signed in", "detail": "The key has ended."})]
    code, _, err = dagy("runs", "list")
    assert (code, "The key has ended." in err) == (5, True)

"""The command `dagy`: what it prints, and what it exits with."""

from __future__ import annotations

import hashlib
import io
import json
import logging
import os
import pty
import re
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest
from sdk_support import ROOT, wait_until

from dagy.cli import main

FLOWS = """
import logging
import time
import zipfile
from datetime import date

from dagy import flow, task


@task(retries=1)
def extract(day: str) -> list[int]:
    logging.getLogger("app").info("extracting %s", day)
    return [1, 2, 3]


@task
def load(rows: list[int], target: str) -> int:
    if target == "broken":
        raise ConnectionError("no route \\x1b[31mto host")
    return len(rows)


@task
def report(count: int) -> str:
    return f"{count} rows"


@flow(version="3")
def nightly(day: str, target: str = "warehouse", since: date | None = None) -> object:
    return report(load(extract(day), target))


@task
def sleep(seconds: float) -> None:
    time.sleep(seconds)


@flow
def slow(seconds: float = 60) -> None:
    sleep(seconds)


@flow
def broken_flow() -> None:
    raise LookupError("no config")


@flow
def cyclic() -> None:
    a = sleep.with_options(name="a")(0)
    b = sleep.with_options(name="b")(0, wait_for=[a])
    a.depends_on(b)


not_a_flow = 5
"""


@pytest.fixture
def flows(tmp_path: Path) -> str:
    path = tmp_path / "flows.py"
    path.write_text(FLOWS)
    return str(path)


@pytest.fixture
def dagy(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Any:
    """Run a command in this process: exit code, stdout, stderr."""
    caplog.set_level(logging.INFO)  # pytest configures logging, so its level stands
    monkeypatch.setattr(sys, "path", list(sys.path))

    def run(*words: str) -> tuple[int, str, str]:
        code = main(list(words))
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT), "TERM": "xterm", "COLUMNS": "100", "LINES": "40"}


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "dagy", *words]


# --- run


def test_run_prints_the_log_and_how_it_ended(dagy: Any, flows: str) -> None:
    code, out, err = dagy("run", f"{flows}:nightly", "-p", "day=2026-01-15", "-p", "since=2026-01-01")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert "[-] Run of flow 'nightly' began" in lines[0]
    assert re.fullmatch(r"✓ SUCCEEDED in \d+ ms  run \S{36}", lines[-1])
    assert "\x1b" not in out


def test_a_failed_run_says_what_failed_and_exits_with_one(dagy: Any, flows: str) -> None:
    code, out, _ = dagy("run", f"{flows}:nightly", "-p", "day=x", "-p", "target=broken", "--no-fail-fast")
    assert code == 1
    assert "First failure: task load, attempt 1" in out
    assert "ConnectionError: no route" in out
    assert "read its log" in out


def test_run_as_json_is_the_record(dagy: Any, flows: str) -> None:
    code, out, _ = dagy("run", f"{flows}:nightly", "-p", "day=x", "-p", "target=broken", "--json")
    record = json.loads(out)
    assert (code, record["status"], record["failure"]["task_id"]) == (1, "FAILED", "load")
    assert [task["status"] for task in record["tasks"]] == ["SUCCEEDED", "FAILED", "SKIPPED"]


def test_parameters_come_from_a_file_or_stdin_too(dagy: Any, flows: str, tmp_path: Path, monkeypatch: Any) -> None:
    given = tmp_path / "given.json"
    given.write_text('{"day": "2026", "target": "file"}')
    _, out, _ = dagy("run", f"{flows}:nightly", "--parameters", str(given), "-p", "target=typed", "--json")
    assert json.loads(out)["parameters"] == {"day": "2026", "target": "typed", "since": None}
    monkeypatch.setattr("sys.stdin", io.StringIO('{"day": "piped"}'))
    _, out, _ = dagy("run", f"{flows}:nightly", "--parameters", "-", "--json")
    assert json.loads(out)["parameters"]["day"] == "piped"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["FLOWS:nightly"], 4, "day: is missing"),
        (["FLOWS:nightly", "-p", "dya=1"], 4, "dya: is unknown (did you mean 'day'?)"),
        (
            ["FLOWS:nightly", "-p", "day=1", "-p", "since=soon"],
            4,
            "since: expected a date such as 2026-01-15, got str 'soon'",
        ),
        (["FLOWS"], 4, "There is more than one flow in"),
        (["FLOWS:nope"], 4, "There is no flow 'nope' in"),
        (["FLOWS:not_a_flow"], 4, "'not_a_flow' in FLOWS is no flow: put @flow above it. It has: nightly, slow"),
        (["/nowhere/flows.py:nightly"], 4, "There is no file /nowhere/flows.py."),
        (["no_such_module:nightly"], 4, "There is no module 'no_such_module'"),
        (["FLOWS:nightly", "-p", "day"], 2, "-p takes name=value, not 'day'."),
        (["FLOWS:nightly", "--parameters", "/nowhere.json"], 2, "/nowhere.json can't be read"),
        (["FLOWS:nightly", "--max-workers", "0"], 2, "must be a whole number from 1, not '0'"),
        ([], 2, "the following arguments are required: FILE.py:FLOW"),
        (["FLOWS:cyclic"], 1, ""),
    ],
)
def test_what_can_not_run_says_why(dagy: Any, flows: str, words: list[str], code: int, said: str) -> None:
    got, _, err = dagy("run", *[word.replace("FLOWS", flows) for word in words])
    assert got == code
    assert said.replace("FLOWS", flows) in err
    assert "Traceback" not in err


def test_a_cycle_is_printed_and_on_record(dagy: Any, flows: str) -> None:
    code, out, _ = dagy("run", f"{flows}:cyclic")
    assert code == 1
    assert "a -> b -> a" in out
    assert "review the depends_on graph" in out


def test_a_flow_file_that_does_not_import_shows_its_own_traceback(dagy: Any, tmp_path: Path) -> None:
    path = tmp_path / "broken.py"
    path.write_text("import dagy\n\ndef helper():\n    raise ValueError('bad config')\n\nhelper()\n")
    code, _, err = dagy("run", str(path))
    assert code == 4
    assert f"{path} can't be imported" in err
    assert 'broken.py", line 4, in helper' in err
    assert "loading.py" not in err
    assert "importlib" not in err
    path.write_text("def broken(:\n")
    assert "SyntaxError" in dagy("run", str(path))[2]
    path.write_text("import sys; sys.exit(3)")
    assert dagy("run", str(path))[0] == 4


def test_an_error_of_the_flows_own_code_is_shown_with_its_traceback(dagy: Any, flows: str) -> None:
    code, out, _ = dagy("run", f"{flows}:broken_flow")
    assert code == 1
    assert "First failure: the flow itself" in out
    assert "in broken_flow" in out


def test_ctrl_c_ends_cancelled_with_its_exit_code(flows: str, local_dir: Path) -> None:
    process = subprocess.Popen(
        command("run", f"{flows}:slow"), env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    wait_until(lambda: list(local_dir.glob("runs/*/task_runs/sleep/metadata.json")))
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=10)
    assert process.returncode == 130
    assert "⊘ CANCELLED" in out
    assert "Traceback" not in out + err


def test_on_a_terminal_the_tasks_are_drawn_as_a_tree(flows: str) -> None:
    out = on_a_terminal("run", f"{flows}:slow", "-p", "seconds=0.5")
    assert "● sleep" in out  # while it ran
    assert "✓ sleep" in out.split("\x1b[0J")[-1].replace("\x1b[32m", "").replace("\x1b[0m", "")
    assert "\x1b[1A" in out or "\x1b[2A" in out


def test_on_a_terminal_control_characters_of_others_are_harmless(flows: str) -> None:
    out = on_a_terminal("run", f"{flows}:nightly", "-p", "day=x", "-p", "target=broken")
    assert "no route \\x1b[31mto host" in out
    assert "no route \x1b" not in out


def on_a_terminal(*words: str) -> str:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(command(*words), env=environment(), stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    parts = []
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # the other side is closed
            break
        if not part:
            break
        parts.append(part)
    process.wait(10)
    os.close(ours)
    text = b"".join(parts).decode()
    return text.replace("\x1b[36m●\x1b[0m", "●")


# --- reading


@pytest.fixture
def failed(dagy: Any, flows: str) -> str:
    _, out, _ = dagy("run", f"{flows}:nightly", "-p", "day=2026", "-p", "target=broken", "--json")
    run_id: str = json.loads(out)["run_id"]
    return run_id


def test_runs_are_listed_newest_first(dagy: Any, flows: str, failed: str) -> None:
    dagy("run", f"{flows}:slow", "-p", "seconds=0")
    _, out, _ = dagy("runs", "list")
    head, first, second = out.splitlines()
    assert head.split() == ["RUN", "STATUS", "FLOW", "STARTED", "DURATION", "TASKS", "FIRST", "FAILURE"]
    assert "slow" in first
    assert re.search(rf"{failed}  FAILED +nightly .* 1/3 +load$", second)
    _, out, _ = dagy("runs", "list", "--status", "failed", "--json")
    assert [item["run_id"] for item in json.loads(out)["items"]] == [failed]
    assert "No runs match." in dagy("runs", "list", "--flow", "other")[1]


def test_an_empty_list_says_how_to_begin(dagy: Any) -> None:
    assert dagy("runs", "list") == (0, "No runs yet: dagy run path.py:flow\n", "")
    code, _, err = dagy("runs", "show")
    assert code == 3
    assert "There are no runs in" in err


def test_a_run_is_shown_as_a_tree_with_its_failure(dagy: Any, failed: str) -> None:
    for words in ([], [failed], [failed[:13]], [failed[-8:]], ["latest"]):
        code, out, _ = dagy("runs", "show", *words)
        assert code == 0
        assert f"✗ FAILED  run {failed}" in out
    assert "flow        nightly (version 3)" in out
    tree = [re.sub(r" +", " ", line) for line in out.splitlines() if line.strip().startswith(("✓", "└"))]
    assert tree[0].startswith("✓ extract SUCCEEDED ")
    assert tree[1].startswith("└ ✗ load FAILED ")
    assert tree[1].endswith(" ConnectionError")
    assert tree[2].startswith(" └ ↷ report SKIPPED - upstream 'load' ended FAILED")
    assert "First failure: task load, attempt 1" in out
    assert json.loads(dagy("runs", "show", "--json")[1])["run_id"] == failed
    code, _, err = dagy("runs", "show", "zzz")
    assert (code, "There is no run 'zzz'" in err) == (3, True)


def test_an_ambiguous_id_lists_the_candidates(dagy: Any, flows: str, failed: str) -> None:
    dagy("run", f"{flows}:slow", "-p", "seconds=0")
    code, _, err = dagy("runs", "show", failed[:4])
    assert code == 3
    assert "may be any of 2 runs" in err


def test_logs_are_of_a_run_a_task_or_a_level(dagy: Any, failed: str) -> None:
    _, out, _ = dagy("logs")
    assert "[extract] extracting 2026" in out
    _, out, _ = dagy("logs", failed, "--task", "load", "--level", "error")
    assert out.splitlines()[0].endswith("ERROR    [load] Failed")
    assert out.splitlines()[1] == "    Traceback (most recent call last):"
    _, out, _ = dagy("logs", "--json", "--task", "extract")
    entries = [json.loads(line) for line in out.splitlines()]
    assert {entry["source"] for entry in entries} == {"extract"}
    code, _, err = dagy("logs", "--task", "nope")
    assert (code, "Task 'nope' of run" in err) == (3, True)
    assert dagy("logs", "--task", "../../x")[0] == 3


def test_a_log_is_followed_until_the_run_ends(flows: str, local_dir: Path) -> None:
    runner = subprocess.Popen(
        command("run", f"{flows}:slow", "-p", "seconds=1.5"), env=environment(), stdout=subprocess.DEVNULL
    )
    wait_until(lambda: list(local_dir.glob("runs/*/task_runs/sleep/metadata.json")))
    began = time.monotonic()
    done = subprocess.run(command("logs", "--follow"), env=environment(), capture_output=True, text=True, timeout=20)
    assert "Run SUCCEEDED" in done.stdout.splitlines()[-1]
    assert time.monotonic() - began > 0.5
    assert runner.wait(10) == 0


def test_the_doctor_names_the_first_failure_its_last_lines_and_the_way_out(dagy: Any, failed: str) -> None:
    _, out, _ = dagy("doctor")
    for told in (
        "First failure: task load, attempt 1",
        "Pattern: TaskFailedError",
        "The task raised: read its log",
        "Traceback (most recent call last):",
        "[load] Started",
        "report: SKIPPED",
        "/task_runs/load",
    ):
        assert told in out
    told = json.loads(dagy("doctor", "--json")[1])
    assert told["failure"]["pattern"] == "TaskFailedError"
    assert told["log"][0]["message"] == "Started"
    assert told["not_run"] == ["report: SKIPPED"]
    assert all(Path(path).exists() for path in told["files"][:2])


def test_the_doctor_finds_nothing_in_a_healthy_run(dagy: Any, flows: str) -> None:
    dagy("run", f"{flows}:slow", "-p", "seconds=0")
    assert "Nothing failed." in dagy("doctor")[1]


def test_a_run_is_cancelled_from_another_terminal(dagy: Any, flows: str, local_dir: Path) -> None:
    runner = subprocess.Popen(command("run", f"{flows}:slow"), env=environment(), stdout=subprocess.DEVNULL)
    wait_until(lambda: list(local_dir.glob("runs/*/task_runs/sleep/metadata.json")))
    code, out, _ = dagy("cancel")
    assert code == 0
    assert out.startswith("⊘ CANCELLED  run ")
    assert runner.wait(10) == 143
    code, _, err = dagy("cancel")
    assert (code, "has ended already: CANCELLED" in err) == (2, True)


# --- the rest


def test_what_needs_a_server_says_how_to_name_one(dagy: Any, flows: str) -> None:
    for words in (["trigger", "nightly"], ["deploy", f"{flows}:nightly"], ["logout"]):
        code, _, err = dagy(*words)
        assert code == 5
        assert "set DAGY_API_URL, or sign in with `dagy login --api-url URL`" in err


def test_with_a_server_the_run_commands_go_there(dagy: Any, monkeypatch: Any, failed: str) -> None:
    monkeypatch.setenv("DAGY_API_URL", "http://127.0.0.1:9")
    monkeypatch.setattr("dagy.client.transport._FIRST_WAIT", 0.0)
    for words in (["runs", "list"], ["runs", "show"], ["logs"], ["doctor"], ["cancel", "x"]):
        code, _, err = dagy(*words)
        assert code == 5
        assert "http://127.0.0.1:9 did not answer" in err
        assert dagy(*words, "--local")[0] in (0, 2, 3)


def test_a_pipe_that_closes_early_is_no_error(failed: str) -> None:
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {sys.executable} -m dagy logs | head -1"],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("\n") == 1


def test_a_run_whose_output_nobody_reads_any_more_goes_on(flows: str, local_dir: Path) -> None:
    code = f"{sys.executable} -m dagy run {flows}:nightly -p day=x -p target=broken | head -1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", code], env=environment(), capture_output=True, text=True, timeout=20)
    assert (done.returncode, done.stderr) == (1, "")
    record = json.loads(next(local_dir.glob("runs/*/metadata.json")).read_text())
    assert [told["status"] for told in record["tasks"]] == ["SUCCEEDED", "FAILED", "SKIPPED"]


def test_help_tells_commands_and_exit_codes(dagy: Any) -> None:
    code, out, _ = dagy("--help")
    assert code == 0
    assert "exit codes:" in out
    assert dagy("--version")[1].startswith("dagy 0.")
    assert dagy()[0] == 2
    assert dagy("runs")[0] == 2


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_knows_all_commands(dagy: Any, shell: str) -> None:
    _, out, _ = dagy("completion", shell)
    for word in ("run", "runs", "logs", "doctor", "deploy", "trigger", "cancel", "login", "max-workers", "follow"):
        assert word in out
    assert "_complete runs" in out


def test_bash_completes_commands_options_and_ids(failed: str, tmp_path: Path) -> None:
    wrapper = tmp_path / "bin" / "dagy"
    wrapper.parent.mkdir()
    wrapper.write_text(f'#!/bin/sh\nexec {sys.executable} -m dagy "$@"\n')
    wrapper.chmod(0o755)

    def completed(*words: str) -> list[str]:
        code = (
            f"source <(dagy completion bash); COMP_WORDS=(dagy {' '.join(repr(w) for w in words)}); "
            f'COMP_CWORD={len(words)}; _dagy; printf "%s\\n" "${{COMPREPLY[@]}}"'
        )
        path = f"{wrapper.parent}:{os.environ['PATH']}"
        done = subprocess.run(
            ["bash", "-c", code], env=environment() | {"PATH": path}, capture_output=True, text=True, timeout=20
        )
        return done.stdout.split()

    assert completed("do") == ["doctor"]
    assert completed("runs", "") == ["--help", "list", "show", "push"]
    assert completed("runs", "list", "--st") == ["--status"]
    assert completed("logs", failed[:6]) == [failed]
    assert completed("logs", "--task", "l") == ["load"]


def test_a_bundle_holds_the_flows_directory_and_is_the_same_each_time(tmp_path: Path) -> None:
    from dagy.bundles import bundle_of

    project = tmp_path / "project"
    for name in (
        "flows.py",
        "lib/helpers.py",
        "data.csv",
        ".env",
        ".git/config",
        "__pycache__/x.pyc",
        "node_modules/a.js",
    ):
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text(name)
    (project / "link").symlink_to("/etc/passwd")
    first, second = bundle_of(project / "flows.py", "nightly"), bundle_of(project / "flows.py", "nightly")
    assert first == second
    assert (first.entrypoint, first.files) == ("flows.py:nightly", 3)
    with zipfile.ZipFile(io.BytesIO(first.data)) as archive:
        assert archive.namelist() == ["data.csv", "flows.py", "lib/helpers.py"]
    assert first.sha256 == hashlib.sha256(first.data).hexdigest()


def test_a_bundle_that_is_too_large_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dagy import bundles
    from dagy.errors import FlowLoadError

    monkeypatch.setattr(bundles, "MAX_BYTES", 100)
    (tmp_path / "flows.py").write_text("x" * 101)
    with pytest.raises(FlowLoadError, match="more than 100 bytes of files: keep the flow in a directory of its own"):
        bundles.bundle_of(tmp_path / "flows.py", "f")

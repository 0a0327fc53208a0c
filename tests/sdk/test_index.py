"""The list of local runs, and runs whose process is gone."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from sdk_support import ROOT, kill, record_of, script, start, task_record, wait_until

from dagy import flow, task
from dagy.errors import RunNotFound
from dagy.local import index, reading


@task
def ok() -> int:
    return 1


@flow
def fine() -> None:
    ok()


def ids(**filters: Any) -> list[str]:
    return [line.run_id for line in index.listing(**filters)]


def test_runs_are_in_the_index_when_they_end_and_found_when_they_are_not(local_dir: Path) -> None:
    first, second = fine.run_local().run_id, fine.run_local().run_id
    with sqlite3.connect(local_dir / "index.db") as connection:
        assert connection.execute("SELECT count(*) FROM runs").fetchone() == (2,)
    (local_dir / "index.db").unlink()
    assert ids() == [second, first]
    assert ids(limit=1) == [second]
    assert ids(status="FAILED") == []
    assert ids(flow="fine", before=index.listing()[0].started_at) == [first]


def test_a_run_whose_files_are_gone_is_not_listed(local_dir: Path) -> None:
    first, second = fine.run_local().run_id, fine.run_local().run_id
    (local_dir / "runs" / first).rename(local_dir / "elsewhere")
    assert ids() == [second]


@pytest.mark.parametrize("content", [b"no database", b"", b"SQLite format 3\0" + b"x" * 4000])
def test_an_index_that_is_broken_is_made_anew(local_dir: Path, content: bytes) -> None:
    run_id = fine.run_local().run_id
    (local_dir / "index.db").write_bytes(content)
    other = fine.run_local().run_id
    assert ids() == [other, run_id]


def test_an_index_of_another_version_is_made_anew(local_dir: Path) -> None:
    run_id = fine.run_local().run_id
    with sqlite3.connect(local_dir / "index.db") as connection:
        connection.execute("ALTER TABLE runs RENAME TO old")
        connection.execute("CREATE TABLE runs (other TEXT)")
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    assert ids() == [run_id]


def test_where_no_index_can_be_made_the_files_are_read(local_dir: Path) -> None:
    run_id = fine.run_local().run_id
    (local_dir / "index.db").unlink()
    (local_dir / "index.db").mkdir()
    assert ids() == [run_id]
    assert fine.run_local().status == "SUCCEEDED"


def test_what_is_no_record_is_left_out(local_dir: Path) -> None:
    run_id = fine.run_local().run_id
    for name, content in (("a", "{"), ("b", "[]"), ("c", '{"run_id": "c"}'), ("d", "[" * 100_000)):
        (local_dir / "runs" / name).mkdir()
        (local_dir / "runs" / name / "metadata.json").write_text(content)
    (local_dir / "runs" / "file").write_text("")
    assert ids() == [run_id]
    with pytest.raises(RunNotFound, match="can't be read"):
        reading.read_run("a")


def test_processes_that_end_together_are_all_in_the_index(local_dir: Path, tmp_path: Path) -> None:
    path = script(
        tmp_path,
        "from dagy import flow, task\n@task\ndef t(): ...\n"
        "for _ in range(5):\n    flow(lambda: t(), name='f').run_local()\n",
    )
    processes = [start(path) for _ in range(4)]
    for process in processes:
        assert process.wait(30) == 0
    with sqlite3.connect(local_dir / "index.db") as connection:
        assert connection.execute("SELECT count(*) FROM runs WHERE status = 'SUCCEEDED'").fetchone() == (20,)


# --- runs that go on, and those whose process is gone

WAITS = """
import sys
from dagy import flow, task
@task
def first(): return 1
@task
def waits(_):
    sys.stdin.read()
@task
def after(_): ...
flow(lambda: after(waits(first())), name="waits").run_local()
"""


def waiting_run(tmp_path: Path, local_dir: Path) -> tuple[subprocess.Popen[str], Path]:
    process = start(script(tmp_path, WAITS), stdin=subprocess.PIPE)
    wait_until(lambda: list(local_dir.glob("runs/*/task_runs/waits/metadata.json")))
    return process, next((local_dir / "runs").iterdir())


def test_a_run_that_goes_on_is_shown_as_it_is_now(tmp_path: Path, local_dir: Path) -> None:
    process, run = waiting_run(tmp_path, local_dir)
    assert index.listing()[0].status == "RUNNING"
    assert reading.goes_on(run.name)
    told = reading.read_run(run.name)
    assert [task["status"] for task in told["tasks"]] == ["SUCCEEDED", "RUNNING", "PENDING"]
    process.communicate("", timeout=10)
    assert not reading.goes_on(run.name)
    assert index.listing()[0].status == "SUCCEEDED"


def test_a_run_whose_process_was_killed_is_failed_with_the_task_that_ran(tmp_path: Path, local_dir: Path) -> None:
    process, run = waiting_run(tmp_path, local_dir)
    kill(process)
    (line,) = index.listing()
    assert (line.status, line.failed_task) == ("FAILED", "waits")
    assert line.reason == f"process lost: process {process.pid} on {os.uname().nodename} ended without saying so"
    settled = record_of(run)
    assert [task["status"] for task in settled["tasks"]] == ["SUCCEEDED", "FAILED", "CANCELLED"]
    assert settled["failure"]["error_type"] == "ProcessLost"
    assert "out of memory" in settled["failure"]["advice"]
    assert settled["duration_seconds"] >= 0
    assert task_record(run, "waits")["status"] == "FAILED"
    assert task_record(run, "waits")["attempts"][0]["status"] == "FAILED"
    assert reading.read_run(run.name) == settled


def test_nobody_settles_a_run_that_begins(local_dir: Path) -> None:
    """Readers look all the time while runs begin and end."""
    stop = threading.Event()
    seen: list[str] = []

    def look() -> None:
        while not stop.is_set():
            seen.extend(line.reason or "" for line in index.listing(limit=100))

    thread = threading.Thread(target=look)
    thread.start()
    results = [fine.run_local() for _ in range(40)]
    stop.set()
    thread.join()
    assert {result.status.value for result in results} == {"SUCCEEDED"}
    assert not [reason for reason in seen if "lost" in reason]


def test_entries_of_a_log_keep_their_further_lines() -> None:
    text = (
        "2026-11-25T05:30:12.123456Z ERROR    [load] Failed\n    Traceback\n      File x\n"
        "half a line of another program\n"
        "2026-11-25T05:30:13.123456Z INFO     [-] done\n"
    )
    entries = list(reading.entries_of(text))
    assert [(entry.level, entry.source) for entry in entries] == [("ERROR", "load"), ("INFO", "-"), ("INFO", "-")]
    assert entries[0].message == "Failed\nTraceback\n  File x"
    assert entries[1].message == "half a line of another program"
    assert "\n".join(entry.line for entry in (entries[0],)) == text.split("\nhalf")[0]


def test_importing_dagy_loads_nothing_but_the_standard_library() -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); before = set(sys.modules)\n"
        "import dagy; from dagy import flow, task\n"
        "import json; print(json.dumps(sorted(set(sys.modules) - before)))"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code, str(ROOT)], capture_output=True, text=True, check=True
    )
    loaded = json.loads(done.stdout)
    assert "dagy.flows" in loaded
    assert {name.split(".")[0] for name in loaded} - {"dagy"} <= set(sys.stdlib_module_names)
    assert not {"asyncio", "sqlite3", "urllib.request", "http", "argparse", "logging", "dagy.capture"} & set(loaded)

"""A process that is killed at any moment leaves files that read."""

from __future__ import annotations

import json
import random
import signal
import time
from pathlib import Path

import pytest
from sdk_support import is_alive, kill, record_of, script, start, task_record, wait_until

BUSY = """
import sys, logging
from dagy import flow, task
@task(retries=1)
def work(n, *_):
    logging.info("working on %d", n)
    return {"n": n, "text": "x" * 5000}
@flow
def busy():
    last = []
    for n in range(2000):
        last = [work(n, *last[-2:])] + last[:1]
busy.run_local(max_workers=4)
"""


@pytest.mark.parametrize("seed", range(8))
def test_killed_at_a_random_point_all_files_read(tmp_path: Path, local_dir: Path, seed: int) -> None:
    process = start(script(tmp_path, BUSY))
    wait_until(lambda: list(local_dir.glob("runs/*/task_runs/work/metadata.json")))
    time.sleep(random.Random(seed).uniform(0, 0.4))
    kill(process)
    (run,) = (local_dir / "runs").iterdir()
    assert record_of(run)["status"] == "RUNNING"
    assert len(record_of(run)["tasks"]) == 2000
    read = 0
    for directory in (run / "task_runs").iterdir():
        path = directory / "metadata.json"
        if not path.exists():  # the directory comes first
            continue
        read += 1
        record = task_record(run, directory.name)
        if record["status"] == "SUCCEEDED":
            assert json.loads((local_dir / record["output"]["path"]).read_text())["n"] >= 0
    assert read >= 1
    for line in (run / "run.log").read_text().splitlines()[:-1]:
        assert line.startswith(("20", "    "))


def test_the_task_that_killed_the_process_is_the_one_that_runs_in_the_files(tmp_path: Path, local_dir: Path) -> None:
    code = """
import os
from dagy import flow, task
@task
def fine(): return 1
@task
def deadly(_): os._exit(7)
@task
def after(_): return 2
flow(lambda: after(deadly(fine())), name="f").run_local()
"""
    process = start(script(tmp_path, code))
    assert process.wait(20) == 7
    (run,) = (local_dir / "runs").iterdir()
    assert task_record(run, "fine")["status"] == "SUCCEEDED"
    assert task_record(run, "deadly")["status"] == "RUNNING"
    assert not (run / "task_runs" / "after" / "metadata.json").exists()
    assert "[deadly] Started" in (run / "task_runs" / "deadly" / "task.log").read_text()


def test_sigterm_ends_a_script_cancelled_with_its_files_written(tmp_path: Path, local_dir: Path) -> None:
    code = """
from dagy import RunContext, flow, task
@task
def waits(context: RunContext):
    context.wait(60)
    raise InterruptedError
flow(lambda: waits(), name="f").run_local()
"""
    process = start(script(tmp_path, code))
    wait_until(lambda: list(local_dir.glob("runs/*/task_runs/waits/metadata.json")))
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 143
    (run,) = (local_dir / "runs").iterdir()
    assert record_of(run)["status"] == "CANCELLED"
    assert task_record(run, "waits")["status"] == "CANCELLED"


def test_processes_of_tasks_do_not_outlive_a_run_that_is_killed(tmp_path: Path, local_dir: Path) -> None:
    code = f"""
import os, time, pathlib, subprocess
from dagy import flow, task
@task(isolation="process")
def sleeps():
    child = subprocess.Popen(["sleep", "60"])
    path = pathlib.Path({str(tmp_path)!r}, "pids")
    path.with_suffix(".new").write_text(f"{{os.getpid()}} {{os.getppid()}} {{child.pid}}")
    path.with_suffix(".new").rename(path)
    time.sleep(60)
flow(lambda: sleeps(), name="f").run_local()
"""
    process = start(script(tmp_path, code))
    pids = [
        int(text)
        for text in wait_until(lambda: (tmp_path / "pids").exists() and (tmp_path / "pids").read_text()).split()
    ]
    assert all(map(is_alive, pids))
    kill(process)
    wait_until(lambda: not any(map(is_alive, pids)), 5)

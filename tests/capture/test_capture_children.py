"""Children that end without Python's own exit lose nothing, with and without a spool."""

from __future__ import annotations

import multiprocessing
import socket
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from capture_support import Bucket, raised, wait_until

from dagy import capture
from tests.timing import LONG

ROOT = Path(__file__).parents[2]
# Enough for two processes to end after their second trace.
COUNT = 8 if LONG else 4
FORKS = 6 if LONG else 3


def fail(number: int) -> None:
    capture.capture_exception(raised(ValueError(f"number {number}")), request_id=f"r{number:05d}")


def in_processes(context: Any) -> None:
    # Two at a time: without a spool a child has 5 s to import boto3 and send, and all at once would share two cores.
    for number in range(0, COUNT, 2):
        processes = [context.Process(target=fail, args=(number + second,)) for second in range(2)]
        for process in processes:
            process.start()
        for process in processes:
            process.join(60)


def in_a_pool_that_is_terminated(context: Any) -> None:
    with context.Pool(2) as pool:
        pool.map(fail, range(COUNT))


def in_an_executor(context: Any) -> None:
    with ProcessPoolExecutor(2, mp_context=context) as executor:
        list(executor.map(fail, range(COUNT)))


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.parametrize("run", [in_processes, in_a_pool_that_is_terminated, in_an_executor])
@pytest.mark.slow("each child starts anew and imports boto3")
def test_children_of_multiprocessing_lose_nothing(
    bucket: Bucket, run: Callable[[Any], None], method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGY_TRACES_BUCKET", bucket.name)
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}:{Path(__file__).parent}")
    # Forget what the tests' own process was configured with: the children find their own in the environment.
    capture.shutdown()
    run(multiprocessing.get_context(method))
    assert sorted(trace["request_id"] for trace in bucket.traces()) == [f"r{number:05d}" for number in range(COUNT)]


def test_a_fork_while_the_first_trace_is_sent_leaves_the_child_a_working_client(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = (
        "import os, time\n"
        "from dagy import capture\n"
        "capture.capture_exception(ValueError('parent'))\n"
        f"for number in range({FORKS}):\n"
        "    time.sleep(0.05)\n"
        "    if os.fork() == 0:\n"
        "        capture.capture_exception(ValueError(f'child {number}'))\n"
        "        os._exit(0 if capture.flush(20) and capture.stats().sent == 1 else 1)\n"
        f"codes = [os.waitstatus_to_exitcode(os.wait()[1]) for _ in range({FORKS})]\n"
        f"assert codes == [0] * {FORKS}, codes\n"
    )
    monkeypatch.setenv("DAGY_TRACES_BUCKET", bucket.name)
    subprocess.run([sys.executable, "-c", script], check=True, timeout=120, cwd=ROOT)
    assert len(bucket.keys()) == FORKS + 1


def test_a_child_forked_while_capture_is_configured_does_not_hang() -> None:
    script = (
        "import os, threading, time\n"
        "from dagy import capture\n"
        "from dagy.capture import api\n"
        "def hold():\n"
        "    with api._lock: time.sleep(1)\n"
        "threading.Thread(target=hold).start()\n"
        "time.sleep(0.1)\n"
        "if os.fork() == 0:\n"
        "    capture.capture_exception(ValueError('child'))\n"
        "    os._exit(0)\n"
        "raise SystemExit(os.waitstatus_to_exitcode(os.wait()[1]))\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=20, cwd=ROOT)


CELERY_APP = """
import os
from celery import Celery
from dagy import capture

app = Celery("failing", broker=os.environ["REDIS_URL"])
app.conf.update(task_default_queue="capture-children", worker_hijack_root_logger=False, task_ignore_result=True)


@app.task
def fail(number):
    capture.capture_exception(ValueError(number), request_id=f"r{number:05d}")
    with open("done", "a") as done:
        done.write("x")
"""


@pytest.mark.parametrize("tasks_a_child", [1, 100])
@pytest.mark.slow("a worker of Celery starts and stops")
def test_children_of_celery_lose_nothing(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tasks_a_child: int
) -> None:
    (tmp_path / "failing.py").write_text(CELERY_APP)
    monkeypatch.setenv("DAGY_TRACES_BUCKET", bucket.name)
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}:{tmp_path}")
    options = ["--pool", "prefork", "--concurrency", "2", f"--max-tasks-per-child={tasks_a_child}"]
    options += ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    worker = subprocess.Popen([sys.executable, "-m", "celery", "-A", "failing", "worker", *options], cwd=tmp_path)
    try:
        script = f"import failing\nfor number in range({COUNT}): failing.fail.delay(number)"
        subprocess.run([sys.executable, "-c", script], check=True, timeout=60, cwd=tmp_path)
        done = tmp_path / "done"
        wait_until(lambda: done.exists() and len(done.read_text()) == COUNT, 90)
    finally:
        worker.terminate()
        worker.wait(60)
    assert len(bucket.keys()) == COUNT


def test_children_of_gunicorn_lose_nothing(bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "failing.py").write_text(
        "from dagy import capture\n"
        "def application(environ, start_response):\n"
        "    capture.capture_exception(ValueError())\n"
        "    start_response('204 No Content', [])\n"
        "    return []\n"
    )
    monkeypatch.setenv("DAGY_TRACES_BUCKET", bucket.name)
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}:{tmp_path}")
    address = tmp_path / "socket"
    options = ["--bind", f"unix:{address}", "--workers", "2", "--max-requests", "2", "failing"]
    log = tmp_path / "log"
    with log.open("w") as output:
        server = subprocess.Popen([sys.executable, "-m", "gunicorn", *options], cwd=tmp_path, stderr=output)
    try:
        # It is there before anybody listens on it.
        wait_until(lambda: "Listening at" in log.read_text(), 30)
        for _ in range(7):
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(30)
                connection.connect(str(address))
                connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
                assert b" 204 " in connection.recv(1000)
    finally:
        server.terminate()
        server.wait(60)
    assert len(bucket.keys()) == 7

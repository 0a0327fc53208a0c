"""Children that end without Python's own exit lose nothing, with and without a spool."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from capture_support import Bucket, raised

from dagy import capture

ROOT = Path(__file__).parents[2]


def fail(number: int) -> None:
    capture.capture_exception(raised(ValueError(f"number {number}")), request_id=f"r{number:05d}")


def in_processes(context: Any) -> None:
    processes = [context.Process(target=fail, args=(number,)) for number in range(8)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)


def in_a_pool_that_is_terminated(context: Any) -> None:
    with context.Pool(2) as pool:
        pool.map(fail, range(8))


def in_an_executor(context: Any) -> None:
    with ProcessPoolExecutor(2, mp_context=context) as executor:
        list(executor.map(fail, range(8)))


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.parametrize("run", [in_processes, in_a_pool_that_is_terminated, in_an_executor])
def test_children_of_multiprocessing_lose_nothing(
    bucket: Bucket, run: Callable[[Any], None], method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGY_TRACES_BUCKET", bucket.name)
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}:{Path(__file__).parent}")
    # Forget what the tests' own process was configured with: the children find their own in the environment.
    capture.shutdown()
    run(multiprocessing.get_context(method))
    assert sorted(trace["request_id"] for trace in bucket.traces()) == [f"r{number:05d}" for number in range(8)]


def test_a_fork_while_the_first_trace_is_sent_leaves_the_child_a_working_client(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = (
        "import os, time\n"
        "from dagy import capture\n"
        "capture.capture_exception(ValueError('parent'))\n"
        "for number in range(6):\n"
        "    time.sleep(0.05)\n"
        "    if os.fork() == 0:\n"
        "        capture.capture_exception(ValueError(f'child {number}'))\n"
        "        os._exit(0 if capture.flush(20) and capture.stats().sent == 1 else 1)\n"
        "codes = [os.waitstatus_to_exitcode(os.wait()[1]) for _ in range(6)]\n"
        "assert codes == [0] * 6, codes\n"
    )
    monkeypatch.setenv("DAGY_TRACES_BUCKET", bucket.name)
    subprocess.run([sys.executable, "-c", script], check=True, timeout=120, cwd=ROOT)
    assert len(bucket.keys()) == 7


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

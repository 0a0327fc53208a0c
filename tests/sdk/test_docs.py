"""What the SDK's documentation shows is true: its examples run, its schemas hold, its tables are complete."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any, get_type_hints

import jsonschema_rs
import pytest
from sdk_support import ROOT, record_of, script, start, task_record

from dagy import LocalArtifact, RunContext, flow, records, task
from dagy.cli.arguments import new_parser
from dagy.cli.exits import Exit
from dagy.tasks import Task

DOCS = ROOT / "docs"
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
EXAMPLES = [
    (path.name, n, code)
    for path in (DOCS / "sdk.md", ROOT / "dagy" / "README.md")
    for n, code in enumerate(BLOCK.findall(path.read_text()))
]


@pytest.mark.parametrize(("name", "number", "code"), EXAMPLES, ids=[f"{name}-{n}" for name, n, _ in EXAMPLES])
def test_examples_run(tmp_path: Path, name: str, number: int, code: str) -> None:
    process = start(script(tmp_path, code))
    _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, "")


def schema(name: str) -> Any:
    return json.loads((DOCS / "schemas" / f"{name}.schema.json").read_text())


@task(retries=1, timeout_seconds=5)
def flaky(context: RunContext) -> Any:
    if context.attempt == 1:
        raise ConnectionError("again")
    return LocalArtifact(data="x", name="x.txt")


@task
def fails(_: object) -> None:
    raise ValueError("bad")


@flow
def mixed(password: str = "x") -> None:
    fails(fails(flaky()))


def test_records_are_as_their_schemas_say(local_dir: Path) -> None:
    result = mixed.run_local(fail_fast=False)
    run = local_dir / "runs" / result.run_id
    jsonschema_rs.validator_for(schema("run")).validate(record_of(run))
    of_tasks = jsonschema_rs.validator_for(schema("task_run"))
    for task_id in result.task_runs:
        of_tasks.validate(task_record(run, task_id))
    with pytest.raises(LookupError):
        flow(lambda: {}["nothing"], name="broken").run_local()
    latest = max((local_dir / "runs").iterdir(), key=lambda path: path.name)
    jsonschema_rs.validator_for(schema("run")).validate(record_of(latest))


@pytest.mark.parametrize(
    ("name", "kind"), [("run", records.RunRecord), ("task_run", records.TaskRunRecord)], ids=["run", "task_run"]
)
def test_schemas_describe_every_field(name: str, kind: Any) -> None:
    described = schema(name)["properties"]
    assert set(described) == set(get_type_hints(kind))
    told = {"description", "const", "enum", "items", "properties"}
    assert [field for field, says in described.items() if not told & set(says)] == []


def test_every_option_of_a_task_is_documented() -> None:
    options = [name for name in Task.__init__.__annotations__ if name not in ("fn", "return")]
    table = (DOCS / "sdk.md").read_text()
    assert [name for name in options if f"`{name}`" not in table] == []


def test_every_command_exit_code_and_variable_is_documented() -> None:
    text = (DOCS / "cli.md").read_text()
    commands = next(action for action in new_parser()._actions if action.dest == "==SUPPRESS==" or action.choices)
    names = [name for name in commands.choices or () if not name.startswith("_") and name != "runs"]
    assert [name for name in [*names, "runs list", "runs show", "runs push"] if f"`dagy {name}" not in text] == []
    assert [code for code in Exit if f"| {code.value} |" not in text] == []
    found = subprocess.run(
        ["grep", "-rhoE", '"DAGY_(LOCAL|API)_[A-Z_]+"', str(ROOT / "dagy")], capture_output=True, text=True, check=True
    ).stdout.split()
    assert {name.strip('"') for name in found} - set(re.findall(r"DAGY_\w+", text)) == set()

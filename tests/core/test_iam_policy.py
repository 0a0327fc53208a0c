"""The policies in docs/operating.md give just what the code asks the S3 server for, and no more."""

import ast
import json
import re
from pathlib import Path
from typing import Any

from dagy_console.core import storage

ROOT = Path(__file__).resolve().parents[2]
OBJECTS = "arn:aws:s3:::dagy-traces/exceptions/*"
BUCKET = "arn:aws:s3:::dagy-traces"
# Only `manage.py make_buckets` does it, with credentials of whoever sets the console up.
SETUP_OPERATIONS = {"CreateBucket"}


def policies() -> list[dict[str, Any]]:
    text = (ROOT / "docs" / "operating.md").read_text()
    return [json.loads(block) for block in re.findall(r"^```json\n(.*?)^```", text, re.MULTILINE | re.DOTALL)]


def statements(policy: dict[str, Any]) -> dict[tuple[str, ...], dict[str, Any]]:
    assert policy["Version"] == "2012-10-17"
    assert all(statement["Effect"] == "Allow" for statement in policy["Statement"])
    return {tuple(statement["Action"]): statement for statement in policy["Statement"]}


def test_what_only_captures_may_put_traces_and_nothing_else() -> None:
    writer, _ = policies()
    assert statements(writer).keys() == {("s3:PutObject",)}
    assert [statement["Resource"] for statement in writer["Statement"]] == [OBJECTS]


def test_the_console_s_policy_holds_exactly_the_actions_that_the_code_names() -> None:
    _, console = policies()
    actions = [action for statement in console["Statement"] for action in statement["Action"]]
    assert sorted(actions) == sorted(set(storage._IAM_ACTIONS.values()))


def test_the_console_may_list_and_touch_traces_only() -> None:
    _, console = policies()
    listing = statements(console).pop(("s3:ListBucket",))
    assert listing["Resource"] == BUCKET
    assert listing["Condition"] == {"StringLikeIfExists": {"s3:prefix": "exceptions/*"}}
    others = [statement for statement in console["Statement"] if statement is not listing]
    assert all(statement["Resource"] == OBJECTS for statement in others)


def test_every_operation_of_the_code_has_an_action() -> None:
    source = ast.parse((ROOT / "dagy_console" / "core" / "storage.py").read_text())
    calls = [node for node in ast.walk(source) if isinstance(node, ast.Call)]
    used = {ast.literal_eval(call.args[0]) for call in calls if ast.unparse(call.func) == "asking"}
    assert used - SETUP_OPERATIONS == set(storage._IAM_ACTIONS)

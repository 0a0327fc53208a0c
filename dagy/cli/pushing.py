"""`dagy runs push`."""

from __future__ import annotations

import hashlib
from typing import Any

from dagy.cli import output
from dagy.cli.exits import UsageError
from dagy.client import DagyClient
from dagy.local.packing import MAX_BYTES, packed
from dagy.local.reading import find_run, read_run
from dagy.states import FINAL


def push(arguments: Any) -> int:
    record = read_run(find_run(arguments.run))
    if record["status"] not in FINAL:
        raise UsageError(f"Run {record['run_id']} goes on: push it when it has ended.")
    archive = packed(record["run_id"], artifacts=arguments.artifacts)
    if len(archive) > MAX_BYTES:
        size, most = len(archive) >> 20, MAX_BYTES >> 20
        raise UsageError(
            f"The run's files are {size} MB as a zip, and {most} MB may be sent: --no-artifacts leaves out "
            "what its tasks have saved."
        )
    with DagyClient(arguments.api_url) as client:
        run = client.push(archive, sha256=hashlib.sha256(archive).hexdigest(), org_id=arguments.org)
        where = f"{client.api_url}/console/runs/{run.id}/"
    if arguments.json:
        output.say_json(run.raw)
    else:
        output.say(f"Pushed run {run.id}: {where}")
    return 0

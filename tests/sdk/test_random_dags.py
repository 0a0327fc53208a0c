"""What holds for any graph: order, states that follow from the failures, and files that say the same as the result."""

from __future__ import annotations

import json
import os
import tempfile
import threading
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from sdk_support import record_of, statuses, task_record

from dagy import State, TaskFailedError, flow, task


@st.composite
def graphs(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Nodes in the order of their calls; each may wait for any that were called before, and may fail."""
    size = draw(st.integers(1, 14))
    return [
        {
            "upstream": draw(st.lists(st.integers(0, n - 1), unique=True, max_size=4)) if n else [],
            "by_hand": draw(st.booleans()),
            "fails": draw(st.integers(0, 9)) == 0,
            "retries": draw(st.integers(0, 1)),
            "recovers": draw(st.booleans()),
        }
        for n in range(size)
    ]


class Journal:
    def __init__(self, nodes: list[dict[str, Any]]) -> None:
        self.nodes = nodes
        self.lock = threading.Lock()
        self.events: list[tuple[str, int]] = []
        self.attempts = [0] * len(nodes)

    def work(self, n: int) -> int:
        with self.lock:
            self.events.append(("began", n))
            self.attempts[n] += 1
            attempt = self.attempts[n]
        node = self.nodes[n]
        try:
            if node["fails"] and not (node["recovers"] and attempt == 2):
                raise ValueError(f"node {n}, attempt {attempt}")
            return n
        finally:
            with self.lock:
                self.events.append(("ended", n))

    def fails(self, n: int) -> bool:
        node = self.nodes[n]
        return node["fails"] and not (node["recovers"] and node["retries"])

    def flow(self) -> Any:
        @flow
        def random_flow() -> None:
            outputs: list[Any] = []
            for n, node in enumerate(self.nodes):
                ups = [outputs[u] for u in node["upstream"]]
                made = task(name=f"n{n}", retries=node["retries"])(lambda n, _=None: self.work(n))
                outputs.append(made(n, wait_for=ups) if node["by_hand"] else made(n, ups))

        return random_flow


def run(journal: Journal, home: str, workers: int, fail_fast: bool) -> Any:
    os.environ["DAGY_LOCAL_DIR"] = home
    try:
        return journal.flow().run_local(max_workers=workers, fail_fast=fail_fast)
    except TaskFailedError as error:
        return error.result


@settings(max_examples=80, deadline=None)
@given(graphs(), st.integers(1, 5), st.booleans())
def test_any_graph(nodes: list[dict[str, Any]], workers: int, fail_fast: bool) -> None:
    journal = Journal(nodes)
    with tempfile.TemporaryDirectory() as home:
        result = run(journal, home, workers, fail_fast)
        states = {int(task_id[1:]): status for task_id, status in statuses(result).items()}
        check_order(journal, states)
        check_states(journal, states, fail_fast)
        check_files(Path(home), result)


def check_order(journal: Journal, states: dict[int, str]) -> None:
    for n, node in enumerate(journal.nodes):
        expected = {"SUCCEEDED": [1, 2], "FAILED": [1, 2], "CANCELLED": [0, 1, 2]}.get(states[n], [0])
        assert journal.attempts[n] in expected
        for upstream in node["upstream"]:
            if journal.attempts[n]:
                last = max(i for i, event in enumerate(journal.events) if event == ("ended", upstream))
                assert last < journal.events.index(("began", n))


def check_states(journal: Journal, states: dict[int, str], fail_fast: bool) -> None:
    failed = {n for n, status in states.items() if status == "FAILED"}
    assert all(journal.fails(n) for n in failed)
    for n, node in enumerate(journal.nodes):
        if states[n] == "SUCCEEDED":
            assert not journal.fails(n)
            assert all(states[upstream] == "SUCCEEDED" for upstream in node["upstream"])
        if states[n] == "SKIPPED":
            assert any(states[upstream] in ("FAILED", "SKIPPED") for upstream in node["upstream"])
        if states[n] == "CANCELLED":
            assert fail_fast
            assert failed
        if not fail_fast and all(states[upstream] == "SUCCEEDED" for upstream in node["upstream"]):
            assert states[n] == ("FAILED" if journal.fails(n) else "SUCCEEDED")


def check_files(home: Path, result: Any) -> None:
    directory = home / "runs" / result.run_id
    record = record_of(directory)
    assert record == result.record
    assert record["status"] == ("FAILED" if "FAILED" in statuses(result).values() else "SUCCEEDED")
    assert State(record["status"]) is result.status
    assert {t["task_id"]: t["status"] for t in record["tasks"]} == statuses(result)
    for task_id, task_run in result.task_runs.items():
        told = task_record(directory, task_id)
        assert told == task_run.record
        assert told["status"] == task_run.status
        if told["output"] is None:
            assert task_id not in result.outputs
        else:
            assert json.loads((home / told["output"]["path"]).read_text()) == result.outputs[task_id]

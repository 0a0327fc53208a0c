"""Stacks of other languages are recognised, own frames told from library frames, and grouped as their origin says."""

from __future__ import annotations

import json
import time
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dagy_console.exceptions.reading.fingerprints import fingerprint, is_library
from dagy_console.exceptions.reading.foreign import parse_foreign
from dagy_console.exceptions.reading.stacks import parse

CORPUS = Path(__file__).parent.parent / "corpus"
ROWS: list[dict[str, Any]] = [json.loads(line) for line in (CORPUS / "foreign.jsonl").read_text().splitlines()]
PYTHON: list[dict[str, Any]] = [json.loads(line) for line in (CORPUS / "cpython.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["id"])
def test_a_stack_is_read_as_its_language_prints_it(row: dict[str, Any]) -> None:
    raised = parse(row["traceback"])[-1]
    own = [frame.function for frame in raised.frames if not is_library(frame.file)]
    assert (raised.language, raised.type, own) == (row["language"], row["type"], row["own"])


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["id"])
def test_lines_that_end_in_crlf_and_colours_change_nothing(row: dict[str, Any]) -> None:
    text = row["traceback"]
    assert parse(text.replace("\n", "\r\n")) == parse(text) == parse(f"\x1b[31m{text}\x1b[0m")


def test_stacks_are_grouped_as_their_origin_says() -> None:
    found = [(row["same_group"], fingerprint("", "", row["traceback"]).value) for row in ROWS]
    together = apart = merged = 0
    for (label, value), (other_label, other_value) in combinations(found, 2):
        together += label == other_label and value == other_value
        apart += label == other_label and value != other_value
        merged += label != other_label and value == other_value
    assert together >= 25
    assert together / (together + merged) >= 0.98
    assert together / (together + apart) >= 0.95


def test_causes_come_first_and_what_they_led_to_last() -> None:
    rows = {row["same_group"]: row["traceback"] for row in ROWS}
    chains = {name: [exception.type for exception in parse(rows[name])] for name in rows}
    assert chains["java-future"] == [
        "java.lang.NullPointerException",
        "com.acme.billing.App$LedgerException",
        "java.util.concurrent.ExecutionException",
    ]
    assert chains["js-cause-inspected"] == ["TypeError", "Error"]
    assert chains["rb-cause"] == ["Errno::ECONNREFUSED", "Sync::Failed"]
    assert chains["net-book"] == ["System.NullReferenceException", "System.InvalidOperationException"]
    assert [exception.relation for exception in parse(rows["java-future"])] == [None, "cause", "cause"]


def test_a_message_of_several_lines_is_kept_and_what_was_suppressed_is_not_taken_for_it() -> None:
    rows = {row["same_group"]: row["traceback"] for row in ROWS}
    (raised,) = parse(rows["java-suppressed"])
    assert (raised.value, len(raised.frames)) == ("main failed: two\nlines: of text", 1)
    assert parse(rows["js-cause"])[-1].value == "outer failed\nsecond line"


def test_names_may_be_of_any_script() -> None:
    (raised,) = parse(
        "ÜberweisungFehlgeschlagen: Limit überschritten\n    at überweise (/srv/src/überweisung.ts:118:11)"
    )
    assert (raised.type, raised.value) == ("ÜberweisungFehlgeschlagen", "Limit überschritten")
    assert [(frame.file, frame.line, frame.function) for frame in raised.frames] == [
        ("/srv/src/überweisung.ts", 118, "überweise")
    ]


@pytest.mark.parametrize("text", [
    "Job failed\nat 2024-01-01T10:30:45 on host 7",
    "ValueError: at least (two) are needed",
    "meet at (12:30)",
    "from app:12: in the morning",
    "user@example.com:80:1",
    "",
])  # fmt: skip
def test_prose_is_no_stack(text: str) -> None:
    assert parse_foreign(text) == ()


def test_python_stacks_are_read_as_python_whatever_they_quote() -> None:
    for row in PYTHON:
        assert all(exception.language == "Python" for exception in parse(row["traceback"])), row["id"]
    text = 'Traceback (most recent call last):\n  File "/srv/app/a.py", line 1, in f\nNodeError: x\n'
    quoting = f"{text}    at g (/a.js:1:2)\n"
    assert [exception.language for exception in parse(quoting)] == ["Python"]


@settings(max_examples=300)
@given(st.lists(st.sampled_from([line for row in ROWS for line in row["traceback"].split("\n")] + ["", "\t", "at "])))
def test_lines_in_any_order_raise_nothing(lines: list[str]) -> None:
    text = "\n".join(lines)
    assert isinstance(parse(text), tuple)
    assert fingerprint("", "", text).value


@pytest.mark.parametrize("line", [
    "at a.b(" * 300, "at " + "a/" * 900 + "b.c(", "panic:" * 300, "at x (" + "(eval at <anonymous> (a:1:" * 60,
    "a:1:in `" + "'" * 1_900, "at a.b() in " + ":1" * 900, "x@" + ":1" * 900, "Caused by: " * 180, "$" * 1_990,
])  # fmt: skip
def test_hostile_lines_take_linear_time(line: str) -> None:
    text = f"Error: x\ngoroutine 1 [running]:\n{(line + chr(10)) * 130}"
    began = time.perf_counter()
    parse(text)
    parse(text.replace("goroutine", ""))
    assert time.perf_counter() - began < 2

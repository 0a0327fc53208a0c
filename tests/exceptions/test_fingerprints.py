"""Traces of one bug get one fingerprint, traces of two bugs two."""

from __future__ import annotations

import json
import random
import re
import time
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dagy_console.exceptions.reading.fingerprints import VERSION, fingerprint, is_library, module_name, parametrize

CORPUS = Path(__file__).parent.parent / "corpus"
ROWS: list[dict[str, Any]] = [json.loads(line) for line in (CORPUS / "cpython.jsonl").read_text().splitlines()]


def traceback_of(*frames: tuple[str, int, str], last: str = "ValueError: bad") -> str:
    lines = [f'  File "{file}", line {line}, in {function}\n    code()\n' for file, line, function in frames]
    return "Traceback (most recent call last):\n" + "".join(lines) + last + "\n"


def value_of(*frames: tuple[str, int, str], last: str = "ValueError: bad") -> str:
    return fingerprint("", "", traceback_of(*frames, last=last)).value


def test_real_tracebacks_are_grouped_as_their_origin_says() -> None:
    found = [(row["same_group"], fingerprint("", "", row["traceback"]).value) for row in ROWS]
    together = apart = merged = 0
    for (label, value), (other_label, other_value) in combinations(found, 2):
        together += label == other_label and value == other_value
        apart += label == other_label and value != other_value
        merged += label != other_label and value == other_value
    assert together / (together + merged) >= 0.99
    assert together / (together + apart) >= 0.97


def test_version_1_gives_these_values_for_ever() -> None:
    """Stored groups hang on them: a change here needs a new VERSION."""
    text = traceback_of(
        ("/srv/app/shop/api.py", 12, "view"),
        ("/srv/app/shop/runs.py", 40, "start"),
        last="shop.errors.ShopError: no run 17",
    )
    found = fingerprint("ShopError", "no run 17", text)
    assert VERSION == 1
    assert found.canonical == "type shop.errors.ShopError\nframe shop/api view\nframe shop/runs start"
    assert found.value == "7c3ec321907b"
    without_frames = fingerprint("TimeoutError", "run 7f3a-11 took 31.5 s", "")
    assert without_frames.canonical == "type TimeoutError\nmessage run <id> took <number> s"
    assert without_frames.value == "bed3d5004a0f"


def test_the_value_is_twelve_hexadecimal_characters() -> None:
    assert re.fullmatch("[0-9a-f]{12}", fingerprint("", "", "").value)


def test_line_numbers_messages_and_machines_do_not_split_a_group() -> None:
    first = value_of(("/srv/app/shop/runs.py", 40, "start"), last="ValueError: no run 17")
    assert first == value_of(("/srv/app/shop/runs.py", 41, "start"), last="ValueError: no run 18")
    assert first == value_of(("/var/task/shop/runs.py", 40, "start"))
    assert first == value_of(("/home/ann/shop/runs.py", 40, "start"))
    assert first == value_of(("C:/Users/ann/shop/runs.py", 40, "start"))
    assert first == value_of((r"C:\Users\ann\shop\runs.py", 40, "start"))
    assert first == value_of(("/tmp/dagy-run-9f31ab/shop/runs.py", 40, "start"))
    assert first == value_of(("/srv/app/releases/20260115103000/shop/runs.py", 40, "start"))


def test_type_module_and_function_split_groups() -> None:
    values = {
        value_of(("/srv/app/shop/runs.py", 1, "start")),
        value_of(("/srv/app/shop/runs.py", 1, "stop")),
        value_of(("/srv/app/shop/flows.py", 1, "start")),
        value_of(("/srv/app/shop/runs.py", 1, "start"), last="KeyError: 'x'"),
    }
    assert len(values) == 4


def test_only_the_innermost_five_application_frames_count() -> None:
    inner = [("/srv/app/shop/m.py", n, f"f{n}") for n in range(5)]
    assert value_of(("/srv/app/shop/one.py", 1, "a"), *inner) == value_of(("/srv/app/shop/two.py", 1, "b"), *inner)
    assert value_of(*inner) != value_of(*inner[1:])


def test_library_frames_count_only_where_there_is_nothing_else() -> None:
    library = ("/usr/lib/python3.12/json/decoder.py", 3, "decode")
    application = ("/srv/app/shop/runs.py", 1, "start")
    assert value_of(application, library) == value_of(application)
    assert value_of(library) != value_of(("/usr/lib/python3.12/json/encoder.py", 3, "encode"))
    assert value_of(library) == value_of(("/usr/local/lib/python3.13/json/decoder.py", 9, "decode"))


def test_recursion_of_any_depth_is_one_group() -> None:
    ping, pong = ("/srv/app/a.py", 1, "ping"), ("/srv/app/a.py", 2, "pong")
    assert value_of(ping, pong) == value_of(*[ping, pong] * 400) == value_of(*[ping, pong] * 400, ping)


def test_comprehension_and_lambda_frames_do_not_split_interpreters() -> None:
    outer = ("/srv/app/a.py", 1, "load")
    assert (
        value_of(outer)
        == value_of(outer, ("/srv/app/a.py", 1, "<listcomp>"))
        == value_of(outer, ("/srv/app/a.py", 1, "<lambda>"))
    )


def test_the_type_of_the_root_cause_counts() -> None:
    link = "\nThe above exception was the direct cause of the following exception:\n\n"
    raised = traceback_of(("/srv/app/a.py", 1, "load"))
    causes = [
        traceback_of(("/srv/app/b.py", 1, "read"), last=last)
        for last in ("KeyError: 'x'", "KeyError: 'y'", "OSError: x")
    ]
    values = [fingerprint("", "", cause + link + raised).value for cause in causes]
    assert values[0] == values[1] != values[2]


def test_members_of_a_group_count_once_and_in_any_order() -> None:
    def group(*members: str) -> str:
        head = '  + Exception Group Traceback (most recent call last):\n  |   File "/srv/app/a.py", line 1, in f\n'
        lines = [head, f"  | ExceptionGroup: failed ({len(members)} sub-exceptions)\n"]
        for number, member in enumerate(members, start=1):
            lines.append(
                f"  {'+-' if number == 1 else '  '}+---------------- {number} ----------------\n    | {member}\n"
            )
        return fingerprint("", "", "".join([*lines, "    +------------------------------------\n"])).value

    assert group("ValueError: 1", "KeyError: 'b'") == group("KeyError: 'b'", "ValueError: 2", "ValueError: 3")
    assert group("ValueError: 1") != group("KeyError: 'b'")


def test_a_syntax_error_is_grouped_by_the_broken_file() -> None:
    values = [
        value_of(
            ("/srv/app/a.py", 1, "f"),
            last=f'  File "/srv/app/{name}.py", line 3\n    x = = 1\n        ^\nSyntaxError: invalid syntax',
        )
        for name in "pqp"
    ]
    assert values[0] == values[2] != values[1]


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("run 3f2b8c1e-4a5d-4e6f-8a9b-0c1d2e3f4a5b failed", "run <uuid> failed"),
        ("took 12.5 s, then -3", "took <number> s, then <number>"),
        ("<Foo object at 0x7f7aa1d48ab0>", "<Foo object at <hex>>"),
        ("commit deadbeef42", "commit <hex>"),
        ("no user 'ann' in \"blue\"", "no user <text> in <text>"),
        ("since 2026-01-15T10:30:00.123Z", "since <date>"),
        ("on 2026-01-15 at 10:30:00", "on <date> at <date>"),
        ("refused by 10.0.3.4:5432", "refused by <ip>"),
        ("mail to ann.b+x@example.com bounced", "mail to <email> bounced"),
        ("org_123 is over its quota", "<id> is over its quota"),
        ("can't open it", "can't open it"),
        ("first\nsecond", "first"),
        ("", ""),
    ],
)
def test_what_differs_in_a_message_is_replaced_by_its_kind(message: str, expected: str) -> None:
    assert parametrize(message) == expected


def test_without_frames_messages_that_differ_in_ids_are_one_group() -> None:
    values = {fingerprint("TimeoutError", f"run {random.getrandbits(64):x} took {n} ms", "").value for n in range(20)}
    assert len(values) == 1


def test_renamed_types_keep_their_group() -> None:
    frame = ("/srv/app/a.py", 1, "f")
    assert value_of(frame, last="re.error: x") == value_of(frame, last="re.PatternError: x")


@pytest.mark.parametrize(
    ("file", "library"),
    [
        ("/usr/lib/python3/dist-packages/x.py", True),
        ("/srv/app/.venv/lib/python3.11/site-packages/django/x.py", True),
        ("/usr/local/lib/python3.13/json/decoder.py", True),
        ("/var/runtime/bootstrap.py", True),
        ("/var/lang/lib/python3.12/x.py", True),
        ("<frozen importlib._bootstrap>", True),
        (r"C:\Python311\Lib\json\decoder.py", True),
        ("/srv/app/lib/pricing.py", False),
        ("/var/task/app.py", False),
        ("<string>", False),
    ],
)
def test_libraries_are_told_from_the_application(file: str, library: bool) -> None:
    assert is_library(file) is library


def test_module_names_keep_at_most_three_parts() -> None:
    assert module_name("/srv/app/a/b/c/d/e.py") == "c/d/e"
    assert module_name("/x/site-packages/django/db/models/query.py") == "db/models/query"
    assert module_name("<ipython-input-5-abc>") == "<ipython-input-N-abc>"


def test_a_typical_trace_takes_well_under_a_millisecond() -> None:
    texts = [row["traceback"] for row in ROWS if len(row["traceback"]) < 4_000]
    start = time.process_time()
    for text in texts:
        fingerprint("", "", text)
    assert (time.process_time() - start) / len(texts) < 0.001


@pytest.mark.parametrize(
    "message", ["x" * 20_000, "a." * 10_000, "a-" * 10_000, "1:" * 9_000, "'" * 20_000, "a@" * 9_000, "9" * 20_000]
)
def test_hostile_messages_take_no_time(message: str) -> None:
    start = time.process_time()
    fingerprint("E", message, "")
    assert time.process_time() - start < 0.05


@settings(deadline=None)
@given(st.text(), st.text(), st.text())
def test_no_text_breaks_the_fingerprint(exception_type: str, message: str, traceback: str) -> None:
    assert fingerprint(exception_type, message, traceback) == fingerprint(exception_type, message, traceback)

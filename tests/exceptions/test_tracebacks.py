"""Tracebacks are read back as CPython meant them, also from damaged text."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dagy_console.exceptions.reading.tracebacks import Frame, ParsedException, parse, with_message

CORPUS = Path(__file__).parent.parent / "corpus"
ROWS: list[dict[str, Any]] = [json.loads(line) for line in (CORPUS / "cpython.jsonl").read_text().splitlines()]
# The Sentry events among them hold structured frames and no text.
THIRD_PARTY = [path for path in sorted((CORPUS / "third_party").glob("*.json")) if '"traceback"' in path.read_text()]
PLAIN = (
    "Traceback (most recent call last):\n"
    '  File "/srv/app/shop/api.py", line 12, in view\n'
    "    return start(run)\n"
    '  File "/srv/app/shop/runs.py", line 40, in start\n'
    "    raise ShopError(f'no run {run}')\n"
    "shop.errors.ShopError: no run 17\n"
)
EXPECTED = parse(PLAIN)


def differences(truth: list[dict[str, Any]], parsed: tuple[ParsedException, ...]) -> list[str]:
    """Compare number, types, relations, values (with the notes, which follow them without a mark), every frame's file,
    line, function and first source line, the count of frames with folded ones, syntax errors' place and source, and
    members.
    """
    if len(truth) != len(parsed):
        return [f"{len(parsed)} exceptions instead of {len(truth)}"]
    found: list[str] = []
    for expected, exception in zip(truth, parsed, strict=True):
        found += _differences_of_one(expected, exception)
    return found


def _differences_of_one(expected: dict[str, Any], exception: ParsedException) -> list[str]:
    syntax = expected.get("syntax") or {}
    value = syntax["msg"] if syntax.get("file") else expected["value"]
    place = exception.syntax
    pairs: list[tuple[str, Any, Any]] = [
        ("type", expected["type"], exception.type),
        ("relation", expected["relation"], exception.relation),
        ("value", "\n".join([value, *expected["notes"]]), "\n".join([exception.value, *exception.notes])),
        ("frame count", expected["frame_count"], sum(1 + frame.repeated for frame in exception.frames)),
        ("syntax file", syntax.get("file"), place.file if place else None),
        ("syntax line", str(syntax.get("line")), str(place.line if place else None)),
        ("syntax source", (syntax.get("text") or "").strip(), place.source.strip() if place else ""),
        ("members", len(expected.get("exceptions", [])), len(exception.exceptions) + exception.omitted),
        *_frame_pairs(expected["frames"], exception.frames),
    ]
    found = [f"{name}: {right!r} read as {got!r}" for name, right, got in pairs if right != got]
    for chain, member in zip(expected.get("exceptions", []), exception.exceptions, strict=False):
        found += differences(chain, member)
    return found


def _frame_pairs(expected: list[dict[str, Any]], frames: tuple[Frame, ...]) -> list[tuple[str, Any, Any]]:
    unfolded = [frame for frame in frames for _ in range(1 + frame.repeated)]
    gap = next((index for index, frame in enumerate(expected) if "elided" in frame), len(expected))
    after = len(expected) - gap - 1
    shown = unfolded[:gap] + (unfolded[-after:] if after > 0 else [])
    right = [frame for frame in expected if "elided" not in frame]
    return [
        (f"frame {index}", tuple(frame[name] for name in ("file", "line", "function", "source")), _as_tuple(got))
        for index, (frame, got) in enumerate(zip(right, shown, strict=False))
    ]


def _as_tuple(frame: Frame) -> tuple[str, int, str, str]:
    return frame.file, frame.line, frame.function, frame.source[0] if frame.source else ""


def _flattened(chain: tuple[ParsedException, ...]) -> Iterator[ParsedException]:
    for exception in chain:
        yield exception
        for member in exception.exceptions:
            yield from _flattened(member)


def test_at_least_99_percent_of_the_real_tracebacks_are_read_as_their_truth_says() -> None:
    wrong = {row["id"]: found for row in ROWS if (found := differences(row["truth"], parse(row["traceback"])))}
    assert len(ROWS) >= 189
    assert len(wrong) <= len(ROWS) * 0.01, json.dumps(wrong, indent=1)


@pytest.mark.parametrize("path", THIRD_PARTY, ids=lambda path: path.stem)
def test_tracebacks_of_other_projects_give_a_type_and_every_printed_frame(path: Path) -> None:
    text = json.loads(path.read_text())["traceback"]
    exceptions = list(_flattened(parse(text)))
    printed = sum(line.lstrip(" |").startswith('File "') for line in text.split("\n"))
    assert sum(len(exception.frames) + (exception.syntax is not None) for exception in exceptions) == printed
    assert exceptions
    assert all(exception.type for exception in exceptions)


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.rstrip("\n").replace("\n", "\r"),
        lambda text: json.dumps(text)[1:-1],
        lambda text: text.replace("\n", "\\n"),
        lambda text: "2026-01-15 10:30:00 ERROR shop: request failed\n" + text,
        lambda text: "2026-01-15 10:30:00 ERROR shop: " + text,
        lambda text: "".join(f"web-1  | {line}\n" for line in text.splitlines()),
        lambda text: "".join(f"    {line}\n" for line in text.splitlines()),
        lambda text: text.replace('"/srv/app/shop/api.py"', '\x1b[35m"/srv/app/shop/api.py"\x1b[0m').replace(
            '  File "/srv', '  File \x1b[35m"\x1b[0m/srv'
        ),
        lambda text: "\n\n" + text,
        lambda text: text.rstrip("\n"),
    ],
    ids=[
        "crlf",
        "lambda",
        "json-in-json",
        "written-out",
        "log-line",
        "log-prefix",
        "compose",
        "indented",
        "colour",
        "blank",
        "bare",
    ],
)
def test_damaged_text_reads_like_the_whole(damage: Any) -> None:
    assert parse(damage(PLAIN)) == EXPECTED


def test_an_aws_lambda_report_names_the_type_before_the_stack() -> None:
    stack = 'Traceback (most recent call last):\r  File "/var/task/app.py", line 3, in handler\r    event["id"]'
    text = f"[ERROR] KeyError: 'id'\r{stack}"
    (exception,) = parse(text)
    assert (exception.type, exception.value, exception.frames[0].function) == ("KeyError", "'id'", "handler")


def test_a_prefix_before_a_group_is_dropped_and_its_members_are_read() -> None:
    text = next(row["traceback"] for row in ROWS if row["scenario"] == "group_custom")
    prefixed = "".join(f"app: {line}\n" for line in text.splitlines())
    assert parse(prefixed) == parse(text)
    assert [member[-1].type for member in parse(text)[-1].exceptions] == ["ValueError", "KeyError", "OSError"]


@pytest.mark.parametrize("row", ROWS[::7], ids=lambda row: row["id"])
def test_a_text_cut_at_any_line_still_gives_its_frames(row: dict[str, Any]) -> None:
    lines = row["traceback"].split("\n")
    for end in range(1, len(lines), max(1, len(lines) // 20)):
        parse("\n".join(lines[:end]))
        parse("\n".join(lines[end:]))
    cut = parse("\n".join(PLAIN.split("\n")[:4]))
    assert [frame.function for frame in cut[0].frames] == ["view", "start"]
    assert (cut[0].type, cut[0].value) == ("", "")


def test_frames_behind_the_mark_of_a_cut_are_read() -> None:
    text = PLAIN.replace(
        "    return start(run)\n", '    return st\n[… 120 bytes left out …]\nil.py", line 4, in lost\n'
    )
    (exception,) = parse(text)
    assert [frame.function for frame in exception.frames] == ["view", "start"]
    assert exception.type == "shop.errors.ShopError"


@pytest.mark.parametrize(
    "text", ["", "\n", "hello world", "<html>502 Bad Gateway</html>", "task failed, see log", "{}", "\0"]
)
def test_text_that_is_no_traceback_gives_nothing(text: str) -> None:
    assert parse(text) == ()


def test_a_single_line_with_a_type_is_an_exception_without_frames() -> None:
    assert parse("TimeoutError: after 3 s") == (ParsedException("TimeoutError", "after 3 s"),)


def test_notes_are_told_from_the_message_where_the_message_is_known() -> None:
    (exception,) = parse("ValueError: bad row\nrow 17 of s3://bucket/key.csv")
    assert with_message(exception, "bad row").notes == ("row 17 of s3://bucket/key.csv",)
    assert with_message(exception, "another").notes == ()


def test_notes_of_a_group_follow_its_count_of_members() -> None:
    text = (
        "  + Exception Group Traceback (most recent call last):\n"
        '  |   File "/srv/app/a.py", line 1, in f\n'
        "  | ExceptionGroup: two (1 sub-exception)\n"
        "  | while loading\n"
        "  +-+---------------- 1 ----------------\n"
        "    | ValueError: 1\n"
        "    +------------------------------------\n"
    )
    (exception,) = parse(text)
    assert (exception.value, exception.notes) == ("two (1 sub-exception)", ("while loading",))


@pytest.mark.parametrize(
    "text",
    [
        "Traceback (most recent call last):\n" * 40_000,
        '  File "' * 200_000,
        "Traceback (most recent call last):\n" + '  File "a", line 1, line 1, in f\n' * 40_000,
        "Traceback (most recent call last):\n" + '  File "' + '", line 1' * 100_000,
        'E: x\n"""\n' * 100_000,
        "\nThe above exception was the direct cause of the following exception:\n\nE: x\n" * 15_000,
        "  + Exception Group Traceback (most recent call last):\n"
        + "".join("  " * n + "+-+---- 1 ----\n" for n in range(1, 1_500)),
        "  + Exception Group Traceback (most recent call last):\n"
        + "  +-+---------------- 1 ----------------\n" * 40_000,
        "a" * 1_500_000,
        "a." * 700_000 + "\n" + " " * 500_000,
        "E: " + "x (1 sub-exception" * 80_000,
        "[ERROR] " * 200_000,
        "\\n  File " * 150_000,
    ],
    ids=range(13),
)
def test_hostile_text_takes_linear_time(text: str) -> None:
    start = time.process_time()
    parse(text)
    assert time.process_time() - start < 3.0


_LINES = st.sampled_from(
    [
        "Traceback (most recent call last):",
        "  + Exception Group Traceback (most recent call last):",
        '  File "a.py", line 1, in f',
        '  File "a.py", line 1',
        "    source",
        "    ~~^^",
        "  [Previous line repeated 3 more times]",
        "ValueError: x",
        "KeyError",
        '"""',
        "",
        "The above exception was the direct cause of the following exception:",
        "During handling of the above exception, another exception occurred:",
        "  | ExceptionGroup: x (2 sub-exceptions)",
        "  +-+---------------- 1 ----------------",
        "    | ValueError: x",
        "    +---------------- 2 ----------------",
        "    +------------------------------------",
        "  | ",
        "[… 3 bytes left out …]",
    ]
)


@settings(deadline=None)
@given(st.lists(_LINES, max_size=40).map("\n".join))
def test_no_order_of_lines_breaks_the_parser(text: str) -> None:
    parse(text)


@settings(deadline=None)
@given(st.text())
def test_no_text_breaks_the_parser(text: str) -> None:
    parse(text)
    parse("Traceback (most recent call last):\n" + text)

"""A stored trace is shown safely and fast, whatever its bytes are, with what is wrong said."""

from __future__ import annotations

import gzip
import json
import re
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dagy_console.exceptions.trace.preview import Preview, build_preview
from dagy_console.exceptions.trace.preview.json_tree import Node
from dagy_console.exceptions.trace.preview.text import is_binary

BASE = "https://console.example.com"
KEY = "exceptions/org_123/2026/01/15/103000123456_abc-123.json"
METADATA = {
    "exception-type": "ShopError",
    "http-method": "POST",
    "http-path": "/runs",
    "request-id": "abc-123",
    "timestamp": "2026-01-15T10:30:00.123456Z",
    "org-id": "org_123",
}
TRACEBACK = (
    "Traceback (most recent call last):\n"
    '  File "/srv/app/.venv/lib/python3.12/site-packages/django/core/handlers/base.py", line 197, in _get_response\n'
    "    response = wrapped_callback(request)\n"
    '  File "/usr/lib/python3.12/contextlib.py", line 81, in inner\n'
    "    return func(*args, **kwds)\n"
    '  File "/srv/app/shop/api.py", line 12, in view\n'
    "    return start(run)\n"
    "           ^^^^^^^^^^\n"
    "KeyError: 'x'\n"
    "\n"
    "The above exception was the direct cause of the following exception:\n"
    "\n"
    "Traceback (most recent call last):\n"
    '  File "/srv/app/shop/api.py", line 14, in view\n'
    "    raise ShopError('<b>') from error\n"
    "shop.errors.ShopError: no run <b>17</b>\n"
)
TRACE: dict[str, Any] = {
    "timestamp": "2026-01-15T10:30:00.123456Z",
    "request_id": "abc-123",
    "function_name": "dagy-api-prod",
    "exception_type": "ShopError",
    "exception_message": "no run <b>17</b>",
    "traceback": TRACEBACK,
    "http_method": "POST",
    "http_path": "/runs",
    "org_id": "org_123",
    "event": {
        "headers": {
            "host": "api.example.com",
            "authorization": "Bearer [Filtered]",
            "content-type": "application/json",
        },
        "query": {"dry": "1"},
        "body": {"flow": "it's"},
    },
}


def preview(
    body: Any = TRACE, *, key: str = KEY, metadata: dict[str, str] | None = None, truncated: bool = False
) -> Preview:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return build_preview(
        raw,
        key=key,
        size=len(raw),
        truncated=truncated,
        metadata=METADATA if metadata is None else metadata,
        base_url=BASE,
    )


def find(node: Node | None, path: str) -> Node:
    assert node is not None
    nodes = [node]
    while nodes:
        current = nodes.pop()
        if current.path == path:
            return current
        nodes.extend(current.children)
    raise AssertionError(path)


def test_a_good_trace_has_no_problem() -> None:
    assert preview().problems == ()


def test_chained_exceptions_are_sections_with_their_relation_in_words() -> None:
    first, second = preview().exceptions
    assert (first.type, first.value, first.relation, first.is_raised) == ("KeyError", "'x'", "", False)
    assert (second.type, second.value, second.is_raised) == ("shop.errors.ShopError", "no run <b>17</b>", True)
    assert second.relation == "Its direct cause:"


def test_library_frames_fold_into_runs() -> None:
    library, application = preview().exceptions[0].runs
    assert (library.is_library, library.label) == (True, "2 library frames")
    assert (application.is_library, application.frames[0].function) == (False, "view")
    assert library.frames[0].short_file == "core/handlers/base.py"


def test_calls_that_go_round_and_round_are_shown_once_with_how_often() -> None:
    def call(name: str, line: int) -> str:
        return f'  File "/srv/app/shop/{name}.py", line {line}, in {name}\n    {name}()\n'

    rounds = "".join(call("walk", 3) + call("step", 9) for _ in range(540))
    text = f"Traceback (most recent call last):\n{call('main', 1)}{rounds}{call('leaf', 5)}RecursionError: too deep\n"
    (section,) = preview({**TRACE, "traceback": text}).exceptions
    frames = [(frame.function, frame.repeated, frame.is_here) for run in section.runs for frame in run.frames]
    told = "these 2 frames repeated 539 more times"
    assert frames == [("main", "", False), ("walk", "", False), ("step", told, False), ("leaf", "", True)]
    alone = "".join(call("walk", 3) for _ in range(5))
    (section,) = preview({**TRACE, "traceback": f"Traceback (most recent call last):\n{alone}E: x\n"}).exceptions
    assert [frame.repeated for frame in section.runs[0].frames] == ["repeated 4 more times"]


def test_one_frame_is_marked_as_the_place_where_it_happened() -> None:
    marked = [
        frame.function
        for section in preview().exceptions
        for run in section.runs
        for frame in run.frames
        if frame.is_here
    ]
    assert len(marked) == 1


def test_source_is_highlighted_and_escaped() -> None:
    html = preview().exceptions[1].runs[0].frames[0].source_html
    assert "&lt;b&gt;" in html
    assert "<b>" not in html
    assert '<span class="k">raise</span>' in html
    assert '<span class="carets">' in preview().exceptions[0].runs[1].frames[0].source_html


def test_html_in_every_field_stays_text() -> None:
    evil = "<script>alert(1)</script>"
    head = "Traceback (most recent call last):\n"
    traceback = f'{head}  File "{evil}", line 1, in {evil}\n    {evil}\n    ^^^{evil}\nE{evil}: {evil}\n'
    shown = preview(
        {**dict.fromkeys(TRACE, evil), "traceback": traceback, "event": {evil: evil, "headers": {evil: evil}}}
    )
    frame = shown.exceptions[0].runs[0].frames[0]
    assert "<script" not in frame.source_html
    assert "&lt;script&gt;" in re.sub(r"</?span[^>]*>", "", frame.source_html)
    assert frame.file == evil  # not marked safe: the template escapes it
    assert not hasattr(frame.file, "__html__")


def test_members_of_a_group_are_nested_sections() -> None:
    rows = (Path(__file__).parent.parent / "corpus" / "cpython.jsonl").read_text().splitlines()
    text = next(row["traceback"] for row in map(json.loads, rows) if row["scenario"] == "group_custom")
    (section,) = preview({**TRACE, "traceback": text}).exceptions
    assert [member[-1].type for member in section.members] == ["ValueError", "KeyError", "OSError"]
    assert [part.is_raised for part in section.members[2]] == [False, True]


def test_notes_are_told_from_the_message() -> None:
    text = TRACEBACK + "row 17 of s3://bucket/key.csv\n"
    assert preview({**TRACE, "traceback": text}).exceptions[-1].notes == ("row 17 of s3://bucket/key.csv",)


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"", "The body is empty."),
        (b" \n", "The body is empty."),
        (b'{"a": nope}', "The body is not JSON: line 1 column 7: Expecting value."),
        (b'{"a": 1}\n]', "The body is not JSON: line 2 column 1: Extra data."),
        (b'{"a": "x', "The body is not JSON: line 1 column 7: Unterminated string starting at."),
        (b"\x00\x01\x02", "The body is not JSON: line 1 column 1: Expecting value."),
        (b"[1, 2]", "The body is JSON, but not an object: it is of kind array."),
        (b'"text"', "The body is JSON, but not an object: it is of kind string."),
        (b'{"a": NaN}', "The body holds NaN, which JSON does not know; other readers will refuse it."),
        (b'{"a": 1, "a": 2}', "$.a is there more than once; the last one counts."),
        (
            gzip.compress(json.dumps(TRACE).encode(), mtime=0),
            "The body is gzip, stored without saying so; it was unpacked to be shown.",
        ),
        (
            b"\x1f\x8b\x00\x01\x02",
            "The body begins as gzip does, and can't be unpacked: it is damaged, or something else.",
        ),
        (json.dumps(TRACE).encode("utf-16"), "The body is UTF-16, not UTF-8; it was decoded to be shown."),
        (json.dumps(TRACE).encode("utf-16-be"), "The body is UTF-16, not UTF-8; it was decoded to be shown."),
        (
            b"\xef\xbb\xbf" + json.dumps(TRACE).encode(),
            "The body begins with a byte order mark, which JSON does not allow.",
        ),
        (b'{"a": "\xff"}', "The body is not UTF-8: byte 7 is not part of a character; such bytes are shown as \ufffd."),
        (b"[" * 10_000 + b"]" * 10_000, "The body is nested too deeply to be checked."),
        ({**TRACE, "timestamp": 5}, "timestamp is a number, not text."),
        ({**TRACE, "event": []}, "event is a list, not an object."),
        ({name: value for name, value in TRACE.items() if name != "request_id"}, "The field request_id is missing."),
        ({**TRACE, "org_id": "org_9"}, "org_id in the body says org_9, the key says org_123."),
        ({**TRACE, "org_id": ""}, "org_id in the body says nothing, the key says org_123."),
        ({**TRACE, "request_id": "other"}, "request_id in the body says other, the key says abc-123."),
        (
            {**TRACE, "timestamp": "2026-01-15T11:30:00Z"},
            "timestamp in the body says 2026-01-15T11:30:00Z, the key says 2026-01-15T10:30:00.123456Z.",
        ),
        ({**TRACE, "timestamp": "soon"}, "timestamp is not a time: soon."),
        ({**TRACE, "http_path": "/flows"}, "http_path in the body says /flows, the metadata says /runs."),
    ],
)
def test_what_is_wrong_is_said(body: Any, sentence: str) -> None:
    assert sentence in preview(body).problems


def test_a_compressed_body_is_read_like_any_other_and_a_bomb_only_to_its_limit() -> None:
    shown = preview(gzip.compress(json.dumps(TRACE).encode(), mtime=0))
    assert shown.exceptions == preview().exceptions and shown.raw == preview().raw and len(shown.problems) == 1
    packed = gzip.compress(b'{"exception_type": "' + b"x" * 200_000_000, compresslevel=1)
    began = time.thread_time()
    bomb = preview(packed)
    assert time.thread_time() - began < 3
    assert "Only the first 8.4 MB of it were unpacked; download the trace for the rest." in bomb.problems
    cut = gzip.compress(json.dumps(TRACE).encode(), mtime=0)[:-20]
    assert preview(cut).field("request_id") == "abc-123"


def test_bytes_that_are_no_text_are_shown_one_by_one() -> None:
    shown = preview(b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40)
    first, second, *_ = shown.raw.split("\n")
    assert first == "00000000  89 50 4e 47 0d 0a 1a 0a  00 01 02 03 04 05 06 07  |.PNG............|"
    assert second.startswith("00000010  08 09")
    assert shown.raw_note == "No text: byte by byte, the first 4.1 KB of 10 KB."
    assert not is_binary("Größe: 5 µm, 你好".encode() * 900)


def test_a_missing_or_partial_metadata_is_said() -> None:
    assert preview(metadata={}).problems == (
        "The object has no metadata; the index took what it could from the body and the key.",
    )
    partial = {name: value for name, value in METADATA.items() if name != "http-path"}
    assert preview(metadata=partial).problems == ("The metadata field http-path is missing.",)


def test_metadata_that_s3_cut_is_no_contradiction() -> None:
    assert preview({**TRACE, "http_path": "/runs/" + "x" * 3_000}).problems == ()


def test_a_key_of_another_layout_is_said() -> None:
    (problem,) = preview(key="exceptions/odd.json").problems
    assert problem.startswith("The key does not match the layout")


def test_a_truncated_body_shows_what_was_read() -> None:
    raw = json.dumps({**TRACE, "zzz": "x" * 1_000}).encode()
    shown = build_preview(raw[:-500], key=KEY, size=len(raw), truncated=True, metadata=METADATA, base_url=BASE)
    assert len(shown.problems) == 1
    assert shown.problems[0].startswith("Only the first ")
    assert shown.exceptions[-1].type == "shop.errors.ShopError"


def test_fields_come_from_the_body_and_beside_it_from_the_metadata() -> None:
    shown = preview({**TRACE, "http_path": None, "org_id": 7})
    by_name = {field.name: (field.value, field.metadata) for field in shown.fields}
    assert by_name["request_id"] == ("abc-123", "abc-123")
    assert by_name["http_path"] == (None, "/runs")
    assert by_name["org_id"] == (None, "org_123")
    assert shown.field("http_path") == "/runs"


def test_the_tree_knows_paths_kinds_and_counts() -> None:
    body = {"a": {"x-a": [1, None, True, "t"], 'q"': 1.5}, "": {}}
    tree = preview(body).tree
    assert (find(tree, "$").kind, find(tree, "$").count) == ("object", 2)
    assert find(tree, '$.a["x-a"]').count == 4
    assert [node.kind for node in find(tree, '$.a["x-a"]').children] == ["number", "null", "boolean", "string"]
    assert find(tree, '$.a["q\\""]').preview == "1.5"
    assert find(tree, '$[""]').kind == "object"


def test_the_tree_says_what_it_cuts() -> None:
    deep: Any = 1
    for _ in range(40):
        deep = [deep]
    tree = preview({"list": list(range(500)), "text": "é" * 5_000, "deep": deep}).tree
    assert find(tree, "$.list").cut == "the first 200 of 500 are shown"
    assert len(find(tree, "$.list").children) == 200
    assert find(tree, "$.text").cut.startswith("cut: the first 2,000 characters of about")
    assert "deeper than 30 levels" in find(tree, "$.deep" + "[0]" * 29).cut
    many = preview({"a": [[1] * 150 for _ in range(150)], "last": 1}).tree
    assert "shown" in find(many, "$").cut


def test_broken_json_gives_the_tree_up_to_the_break() -> None:
    tree = preview(b'{"a": [1, 2, oops], "b": 2}').tree
    assert [node.preview for node in find(tree, "$.a").children] == ["1", "2"]
    assert "cannot be read" in find(tree, "$.a").cut


def test_hidden_characters_become_visible() -> None:
    body = '{"exception_message": "a\x1b[31m\u202eb\\u0000\\ud800\u2066\u200b"}'.encode()
    shown = preview(body)
    assert shown.field("exception_message") == "a␛[31m⟨U+202E⟩b␀⟨U+D800⟩⟨U+2066⟩⟨U+200B⟩"
    assert "␛" in shown.raw
    assert "\u202e" not in shown.raw
    assert find(shown.tree, "$.exception_message").preview.count("⟨U+") == 4


def test_long_texts_are_cut_in_the_middle_and_say_so() -> None:
    frames = "".join(f'  File "/srv/app/m.py", line {n}, in f{n}\n    x = "é"\n' for n in range(20_000))
    text = f"Traceback (most recent call last):\n{frames}ValueError: the end\n"
    shown = preview({**TRACE, "traceback": text})
    assert shown.exceptions[-1].type == "ValueError"
    assert "its first and last" in shown.traceback_note
    assert "[… the middle is left out …]" in shown.traceback
    assert "frames are shown" in shown.exceptions[-1].cut
    assert len(shown.raw) <= 256 * 1024
    assert shown.raw_note.startswith("The first 262 KB of")


def test_the_request_is_a_table() -> None:
    request = preview().request
    assert request is not None
    assert (request.method, request.path) == ("POST", "/runs")
    assert [(pair.name, pair.scrubbed) for pair in request.headers][1] == ("authorization", True)
    assert [(pair.name, pair.value) for pair in request.query] == [("dry", "1")]
    assert request.body == '{\n  "flow": "it\'s"\n}'


@pytest.mark.parametrize(
    "event",
    [
        {"httpMethod": "PUT", "path": "/x", "headers": {"a": "b"}, "queryStringParameters": {"q": "1"}, "body": "z"},
        {
            "requestContext": {"http": {"method": "PUT", "path": "/x"}},
            "rawQueryString": "q=1",
            "headers": [["a", "b"]],
            "body": "z",
        },
    ],
)
def test_requests_of_lambda_are_understood(event: dict[str, Any]) -> None:
    request = preview(
        {**TRACE, "http_method": None, "http_path": None, "event": event}, metadata={"org-id": "org_123"}
    ).request
    assert request is not None
    assert (request.method, request.path, request.body) == ("PUT", "/x", "z")
    assert (request.headers[0].name, request.query[0].value) == ("a", "1")


def run_in_shell(command: str, **environment: str) -> list[str]:
    script = f"curl() {{ printf '%s\\0' \"$@\"; }}\n{command}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, env=environment, timeout=10, check=True)
    return done.stdout.decode().split("\0")[:-1]


def test_curl_is_safe_to_paste_and_names_what_was_scrubbed() -> None:
    shown = preview()
    assert shown.curl is not None
    words = run_in_shell(shown.curl, AUTHORIZATION="t0ken")
    assert words == [
        "--globoff",
        "https://console.example.com/runs?dry=1",
        "-H",
        "authorization: Bearer t0ken",
        "-H",
        "content-type: application/json",
        "--data-raw",
        '{"flow": "it\'s"}',
    ]
    assert shown.curl.startswith("# It was sent to the host api.example.com\n"), "it is told, and not asked"
    assert shown.curl_notes == ("authorization was scrubbed by the writer: set AUTHORIZATION first.",)


def test_curl_of_a_hostile_request_runs_nothing() -> None:
    evil = "';touch /tmp/pwned;$(id)`id`\n\x1b[201~\\"
    event = {"headers": {"x": evil, evil: "1", "host": evil, "y": "$(id)'"}, "query": {evil: evil}, "body": evil}
    shown = preview({**TRACE, "http_path": "/" + evil, "event": event})
    assert shown.curl is not None
    words = run_in_shell(shown.curl)
    assert words[0] == "--globoff"
    assert words[-2] == "--data-raw"
    assert words[2:-2] == ["-H", "y: $(id)'"]
    assert words[1].startswith(BASE + "/'")
    assert len(shlex.split(shown.curl)) > 4
    assert "#" not in shown.curl.splitlines()[0], "a host that is none is not even told"
    assert any("control characters" in note for note in shown.curl_notes)


def test_curl_says_that_the_body_was_cut() -> None:
    shown = preview({**TRACE, "truncated": {"event.body": 90_000}})
    assert any("The body was cut" in note for note in shown.curl_notes)
    assert shown.request is not None
    assert shown.request.notes == ("The writer cut body of 90 KB.",)


LARGE = {
    "one long text": "json.dumps({**trace, 'event': {'body': 'x' * 20_000_000}})",
    "many records": (
        "json.dumps({**trace, 'event': {'body': [{'id': n, 'tags': ['a'], 'v': {'x': 1}} for n in range(440_000)]}})"
    ),
    "a long traceback": "json.dumps({**trace, 'traceback': trace['traceback'] * 18_000})",
    "wide characters": "json.dumps({**trace, 'event': {'body': 'é漢😀' * 2_200_000}}, ensure_ascii=False)",
    "one line": "'x' * 20_000_000",
    "open brackets": "'[' * 20_000_000",
}


@pytest.mark.parametrize("kind", LARGE)
def test_20_megabytes_open_in_little_time_and_memory(kind: str) -> None:
    """In a process of its own: the peak of its memory can't be lowered by what ran before."""
    script = f"""
import json, resource, sys, time
from dagy_console.exceptions.trace.preview import build_preview
trace = json.loads(sys.stdin.read())
build_preview(json.dumps(trace).encode(), key="k", size=1, truncated=False, metadata={{}}, base_url="")
raw = ({LARGE[kind]}).encode()
before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
build_preview(raw, key="k", size=len(raw), truncated=False, metadata={{}}, base_url="")
print(json.dumps([time.process_time() - start, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1000]))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], input=json.dumps(TRACE), capture_output=True, text=True, timeout=60, check=True
    )
    seconds, megabytes = json.loads(done.stdout)
    # The bar is 0.6 s on a quiet machine; tests share theirs.
    assert seconds < 1.2
    assert megabytes < 100


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.binary(max_size=400))
def test_no_bytes_break_the_preview(raw: bytes) -> None:
    preview(raw)
    preview(b'{"traceback": "' + raw, truncated=True)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.dictionaries(st.text() | st.sampled_from([*TRACE, "headers", "body", "query"]), inner, max_size=5)
    ),
    max_leaves=30,
)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.dictionaries(st.sampled_from([*TRACE, "truncated"]), _JSON) | _JSON,
    st.text(),
    st.dictionaries(st.sampled_from([*METADATA]), st.text()),
)
def test_no_json_breaks_the_preview(body: Any, key: str, metadata: dict[str, str]) -> None:
    for ascii_only in (True, False):
        raw = json.dumps(body, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
        shown = build_preview(raw, key=key, size=len(raw), truncated=False, metadata=metadata, base_url=BASE)
        repr(shown).encode()
        assert not any(ord(character) < 0x20 and character != "\n" and character != "\t" for character in shown.raw)

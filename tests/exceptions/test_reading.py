"""The index gets a row from every object, whatever its bytes are."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dagy_console.exceptions.reading.fields import IndexFields, extract_fields, parse_time, read_top_level
from dagy_console.exceptions.reading.fingerprints import fingerprint
from dagy_console.exceptions.reading.json_body import decode_body

KEY = "exceptions/org_123/2026/01/15/103000123456_abc-123.json"
WHEN = datetime(2026, 1, 15, 10, 30, 0, 123456, UTC)
MODIFIED = datetime(2026, 1, 16, tzinfo=UTC)
METADATA = {
    "exception-type": "ShopError",
    "http-method": "POST",
    "http-path": "/runs",
    "request-id": "abc-123",
    "timestamp": "2026-01-15T10:30:00.123456Z",
    "org-id": "org_123",
}
TRACE: dict[str, Any] = {
    "timestamp": "2026-01-15T10:30:00.123456Z",
    "request_id": "abc-123",
    "function_name": "dagy-api-prod",
    "exception_type": "ShopError",
    "exception_message": "no run 17",
    "traceback": (
        'Traceback (most recent call last):\n  File "/srv/app/shop/api.py", line 1, in view\n'
        "shop.errors.ShopError: no run 17\n"
    ),
    "http_method": "POST",
    "http_path": "/runs",
    "org_id": "org_123",
    "event": {},
}


def extract(
    body: Any = TRACE, *, key: str = KEY, metadata: dict[str, str] | None = None, truncated: bool = False
) -> IndexFields:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return extract_fields(
        raw, key=key, metadata=METADATA if metadata is None else metadata, last_modified=MODIFIED, truncated=truncated
    )


def test_a_good_trace_fills_the_row_without_problems() -> None:
    row = extract()
    assert (row.org_id, row.occurred_at, row.request_id, row.function_name) == (
        "org_123",
        WHEN,
        "abc-123",
        "dagy-api-prod",
    )
    assert (row.exception_type, row.message, row.http_method, row.http_path) == (
        "ShopError",
        "no run 17",
        "POST",
        "/runs",
    )
    assert row.fingerprint == fingerprint("ShopError", "no run 17", TRACE["traceback"]).value
    assert row.problems == ()


def test_metadata_wins_over_the_body_except_where_s3_cut_it() -> None:
    long_path = "/runs/" + "x" * 900
    row = extract(
        {**TRACE, "http_path": long_path, "http_method": "GET"}, metadata={**METADATA, "http-path": long_path[:50]}
    )
    assert (row.http_method, row.http_path) == ("POST", long_path)


def test_the_key_wins_for_organization_and_time() -> None:
    row = extract({**TRACE, "org_id": "org_9", "timestamp": "2020-01-01T00:00:00Z"}, metadata={})
    assert (row.org_id, row.occurred_at) == ("org_123", WHEN)
    assert row.problems == ("key-mismatch", "metadata-missing")


def test_no_organization_is_kept_as_none() -> None:
    row = extract(
        {**TRACE, "org_id": None}, key=KEY.replace("org_123", "_none"), metadata={**METADATA, "org-id": "_none"}
    )
    assert (row.org_id, row.problems) == ("_none", ())


def test_without_a_good_key_metadata_and_body_fill_in() -> None:
    row = extract(key="exceptions/odd.json", metadata={})
    assert (row.org_id, row.occurred_at, row.request_id) == ("org_123", WHEN, "abc-123")
    assert row.problems == ("key-mismatch", "metadata-missing")
    assert extract({}, key="odd", metadata={}).occurred_at == MODIFIED
    assert extract({}, key="odd", metadata={}).org_id == "_none"


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"", "not-json"),
        (b"\x1f\x8b\x08rubbish", "not-json"),
        (b"x" * 3_000_000, "not-json"),
        (b'{"a": 1', "not-json"),
        (b'{"a": nope}', "not-json"),
        (b"[1]", "not-object"),
        (b'"text"', "not-object"),
        ({name: value for name, value in TRACE.items() if name != "org_id"}, "field-missing:org_id"),
        ({**TRACE, "exception_message": 5}, "field-type:exception_message"),
        ({**TRACE, "exception_message": None}, "field-type:exception_message"),
    ],
)
def test_what_is_wrong_becomes_a_code_and_the_row_is_kept(body: Any, problem: str) -> None:
    row = extract(body)
    assert problem in row.problems
    assert (row.org_id, row.request_id, row.exception_type) == ("org_123", "abc-123", "ShopError")


def test_nulls_where_there_was_no_request_are_no_problem() -> None:
    assert (
        extract(
            {**TRACE, "http_method": None, "http_path": None}, metadata={**METADATA, "http-method": "", "http-path": ""}
        ).problems
        == ()
    )


def test_a_cut_body_gives_its_fields_and_the_beginning_of_the_one_that_was_cut() -> None:
    raw = json.dumps(TRACE).encode()
    row = extract(raw[: raw.index(b"shop.errors") + 4], metadata={}, truncated=True)
    assert (row.exception_type, row.message, row.function_name) == ("ShopError", "no run 17", "dagy-api-prod")
    top = read_top_level(decode_body(raw[: raw.index(b"shop.errors") + 4]))
    assert top.texts["traceback"].endswith("in view\nshop")
    assert row.problems[-1] == "cut"


def test_the_type_of_a_trace_that_names_none_is_read_from_its_traceback() -> None:
    assert extract({"traceback": TRACE["traceback"]}, metadata={}).exception_type == "shop.errors.ShopError"


def test_texts_fit_their_columns_and_postgresql() -> None:
    evil = "\0\ud800é" * 5_000
    row = extract(dict.fromkeys(TRACE, evil), key="odd", metadata={})
    for text, limit in (
        (row.org_id, 64),
        (row.request_id, 512),
        (row.exception_type, 300),
        (row.message, 2_000),
        (row.http_method, 20),
        (row.http_path, 1_000),
        (row.fingerprint, 12),
    ):
        assert 0 < len(text) <= limit
        assert "\0" not in text
        text.encode()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-15T10:30:00.123456Z", WHEN),
        ("2026-01-15T10:30:00.123456789Z", WHEN),
        ("2026-01-15 10:30:00.123456", WHEN),
        ("2026-01-15T12:30:00.123456+02:00", WHEN),
        ("1768473000.123456", WHEN),
        ("0001-01-01T00:00:00+14:00", None),
        ("9999-12-31T23:59:59-14:00", None),
        ("1e400", None),
        ("nan", None),
        ("soon", None),
        ("", None),
    ],
)
def test_times_of_other_writers_are_read(text: str, expected: datetime | None) -> None:
    assert parse_time(text) == expected


def test_times_without_a_zone_are_utc() -> None:
    local = datetime(2026, 1, 16, 2, tzinfo=timezone(timedelta(hours=2)))
    assert extract_fields(b"", key="odd", metadata={}, last_modified=local).occurred_at == MODIFIED


_VALUES = st.none() | st.integers() | st.floats() | st.text() | st.lists(st.text(), max_size=3)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.binary(max_size=300)
    | st.dictionaries(st.sampled_from([*TRACE]), _VALUES).map(lambda body: json.dumps(body).encode()),
    st.sampled_from([KEY, "odd"]) | st.text(),
    st.dictionaries(st.sampled_from([*METADATA]), st.text()),
    st.booleans(),
)
def test_nothing_breaks_the_reader(raw: bytes, key: str, metadata: dict[str, str], truncated: bool) -> None:
    row = extract(raw, key=key, metadata=metadata, truncated=truncated)
    assert row.occurred_at.tzinfo is UTC
    assert len(row.fingerprint) == 12


@pytest.mark.parametrize("year", ["0001", "1999", "9998"])
def test_a_time_that_cannot_be_is_replaced_by_when_the_object_was_written(year):
    written = datetime(2026, 1, 15, 10, 30, tzinfo=UTC)
    key = f"exceptions/org_123/{year}/01/15/103000000000_req.json"
    fields = extract_fields(b"{}", key=key, metadata={}, last_modified=written)
    assert fields.occurred_at == written
    assert "time-implausible" in fields.problems

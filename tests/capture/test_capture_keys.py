from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dagy.capture import decode_metadata, encode_metadata, parse_key, s3_key
from dagy.capture.keys import METADATA_FIELDS, METADATA_LIMIT

WHEN = datetime(2026, 1, 15, 10, 30, 0, 123456, tzinfo=UTC)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=80)
METADATA = st.fixed_dictionaries(dict.fromkeys(METADATA_FIELDS, TEXT))
HOSTILE = st.text(st.sampled_from("aZ9 é\n\r\0😀=?B\u202e\t\x7f"), max_size=4000)


def size(metadata: dict[str, str]) -> int:
    return sum(len("x-amz-meta-") + len(name) + len(value.encode()) for name, value in metadata.items())


def test_the_key_is_the_one_of_the_contract() -> None:
    key = s3_key(org_id="org_123", timestamp=WHEN, request_id="abc-123-def")
    assert key == "exceptions/org_123/2026/01/15/103000123456_abc-123-def.json"


def test_times_of_other_zones_are_stored_in_utc() -> None:
    local = WHEN.astimezone(timezone(timedelta(hours=5, minutes=30)))
    assert s3_key(org_id="o", timestamp=local, request_id="r") == s3_key(org_id="o", timestamp=WHEN, request_id="r")


@given(
    org=st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True),
    when=st.datetimes(timezones=st.just(UTC)),
    request=st.from_regex(r"[A-Za-z0-9._-]{1,128}", fullmatch=True),
)
def test_a_key_says_what_it_was_made_of(org: str, when: datetime, request: str) -> None:
    parsed = parse_key(s3_key(org_id=org, timestamp=when, request_id=request))
    assert parsed == (org, when, request)


@given(org=st.none() | st.text(), request=st.text())
def test_no_input_makes_an_unsafe_key(org: str | None, request: str) -> None:
    key = s3_key(org_id=org, timestamp=WHEN, request_id=request)
    assert parse_key(key) is not None
    assert key.isascii()
    assert key.count("/") == 5
    assert len(key) <= 1024


@pytest.mark.parametrize(
    "key",
    [
        "",
        "exceptions/",
        "exceptions/org_1/2026/01/15/103000123456_a.txt",
        "exceptions/org_1/2026/13/15/103000123456_a.json",
        "exceptions/org_1/2026/01/15/253000123456_a.json",
        "exceptions/org_1/2026/01/15/103000_a.json",
        "exceptions/org_1/2026/01/15/103000123456_.json",
        "exceptions/org_1/2026/01/15/103000123456_a/b.json",
        "exceptions/org 1/2026/01/15/103000123456_a.json",
        "exceptions/../2026/01/15/103000123456_a.json",
        "exceptions/org_1/٢٠٢٦/01/15/103000123456_a.json",
        "other/org_1/2026/01/15/103000123456_a.json",
        "exceptions/org_1/2026/01/15/103000123456_a.json\n",
    ],
)
def test_what_is_no_trace_key_is_none(key: str) -> None:
    assert parse_key(key) is None


@given(METADATA)
def test_metadata_comes_back_as_it_was(metadata: dict[str, str]) -> None:
    encoded = encode_metadata(metadata, limit=100_000)
    assert decode_metadata(encoded) == {name: value for name, value in metadata.items() if value}


@given(st.fixed_dictionaries(dict.fromkeys(METADATA_FIELDS, HOSTILE)))
def test_metadata_never_breaks_a_header_nor_the_limit(metadata: dict[str, str]) -> None:
    encoded = encode_metadata(metadata)
    assert size(encoded) <= METADATA_LIMIT
    for name, value in encoded.items():
        assert value.isascii()
        assert value.isprintable()
        assert value == value.strip()
        assert metadata[name].startswith(decode_metadata({name: value})[name])


def test_the_longest_values_are_cut_and_the_others_stay_whole() -> None:
    metadata = {"http-path": "/" + "p" * 5000, "exception-type": "T" * 3000, "request-id": "r" * 128, "org-id": "org_1"}
    encoded = encode_metadata(metadata)
    assert encoded["request-id"] == "r" * 128
    assert encoded["org-id"] == "org_1"
    assert abs(len(encoded["http-path"]) - len(encoded["exception-type"])) <= 1
    assert METADATA_LIMIT - 10 <= size(encoded) <= METADATA_LIMIT


def test_values_that_are_missing_are_left_out() -> None:
    assert encode_metadata({"http-method": None, "http-path": "", "org-id": "_none"}) == {"org-id": "_none"}


@pytest.mark.parametrize(
    ("stored", "read"),
    [
        ("=?UTF-8?B?w6k=?=", "é"),
        ("=?utf-8?q?caf=C3=A9_noir?=", "café noir"),
        ("=?ISO-8859-1?Q?caf=E9?=", "café"),
        ("=?UTF-8?B?w6k=?= =?UTF-8?B?w6k=?=", "éé"),
        # A writer that split in the middle of a character.
        ("=?UTF-8?B?ww==?= =?UTF-8?B?qQ==?=", "é"),
        ("a =?UTF-8?B?w6k=?= b", "a é b"),
        ("=?UTF-8?B?!!!?=", "=?UTF-8?B?!!!?="),
        ("=?no-such-charset?B?w6k=?=", "é"),
        ("=?UTF-8?B?", "=?UTF-8?B?"),
        # Raw UTF-8 as an HTTP library shows it.
        ("cafÃ©", "café"),
    ],
)
def test_metadata_of_other_writers_is_read(stored: str, read: str) -> None:
    assert decode_metadata({"Http-Path": stored}) == {"http-path": read}


def test_metadata_survives_the_real_server(bucket) -> None:
    metadata = {"http-path": "/bücher/😀", "exception-type": "Odd  Type\n", "org-id": "_none", "http-method": "=?x"}
    bucket.client.put_object(Bucket=bucket.name, Key="k", Body=b"", Metadata=encode_metadata(metadata))
    assert decode_metadata(bucket.client.head_object(Bucket=bucket.name, Key="k")["Metadata"]) == metadata

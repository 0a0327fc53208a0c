"""What is wrong with a trace against the contract, as sentences."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta

from dagy.capture.keys import NO_ORG, parse_key
from dagy_console.core.times import to_rfc3339
from dagy_console.core.visible import visible
from dagy_console.exceptions.reading.fields import BODY_FIELDS, METADATA_FIELDS, NULLABLE, parse_time

_UNSAFE_IN_ID = re.compile(r"[^A-Za-z0-9._-]")
_MAX_SHOWN = 100


def find_problems(
    kinds: Mapping[str, str] | None,
    texts: Mapping[str, str],
    *,
    key: str,
    metadata: Mapping[str, str],
    whole: bool = True,
) -> list[str]:
    """Compare body, key and metadata.

    `kinds` says of which kind each member of the body is (None: the body is no object), `texts` holds those that are
    text; `whole` says that the body was read to its end, so that what was not found is missing.
    """
    problems = _field_problems(kinds, whole=whole) if kinds is not None else []
    return problems + _key_problems(texts, key) + _metadata_problems(texts, metadata)


def _field_problems(kinds: Mapping[str, str], *, whole: bool) -> list[str]:
    problems = []
    for name in (*BODY_FIELDS, "event"):
        kind = kinds.get(name)
        expected = "an object" if name == "event" else "text"
        if kind is None:
            problems += [f"The field {name} is missing."] if whole else []
        elif kind != expected and not (kind == "null" and name in NULLABLE):
            problems.append(f"{name} is {kind}, not {expected}.")
    return problems


def _key_problems(texts: Mapping[str, str], key: str) -> list[str]:
    place = parse_key(key)
    if place is None:
        return ["The key does not match the layout exceptions/<org_id>/YYYY/MM/DD/HHMMSSffffff_<request_id>.json."]
    problems = []
    if "org_id" in texts and (texts["org_id"] or NO_ORG) != place.org_id:
        problems.append(f"org_id in the body says {_short(texts['org_id'])}, the key says {place.org_id}.")
    request_id = texts.get("request_id", "")
    if request_id and place.request_id not in (request_id, _UNSAFE_IN_ID.sub("-", request_id)[:128]):
        problems.append(f"request_id in the body says {_short(request_id)}, the key says {_short(place.request_id)}.")
    timestamp = texts.get("timestamp")
    moment = parse_time(timestamp) if timestamp is not None else None
    if timestamp is not None and moment is None:
        problems.append(f"timestamp is not a time: {_short(timestamp)}.")
    elif moment is not None and abs(moment - place.timestamp) >= timedelta(seconds=1):
        problems.append(
            f"timestamp in the body says {_short(timestamp or '')}, the key says {to_rfc3339(place.timestamp)}."
        )
    return problems


def _metadata_problems(texts: Mapping[str, str], metadata: Mapping[str, str]) -> list[str]:
    if not any(metadata.get(header) for header in METADATA_FIELDS):
        return ["The object has no metadata; the index took what it could from the body and the key."]
    problems = []
    for header, name in METADATA_FIELDS.items():
        kept, text = metadata.get(header, ""), texts.get(name, "")
        if not kept and text:
            problems.append(f"The metadata field {header} is missing.")
        elif (
            kept
            and text
            and not text.startswith(kept)
            and not (name == "timestamp" and parse_time(kept) == parse_time(text))
        ):
            problems.append(f"{name} in the body says {_short(text)}, the metadata says {_short(kept)}.")
    return problems


def _short(text: str) -> str:
    return visible(text[:_MAX_SHOWN]) + ("…" if len(text) > _MAX_SHOWN else "") if text else "nothing"

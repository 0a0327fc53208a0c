"""A task's return value as JSON, and why it can't be."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from dagy.artifacts import LocalArtifact, described_size
from dagy.errors import ArtifactSerializationError

if TYPE_CHECKING:
    from collections.abc import Callable

_HINTS = {
    "set": "return sorted(…), a list",
    "frozenset": "return sorted(…), a list",
    "generator": "return list(…)",
    "map": "return list(…)",
    "filter": "return list(…)",
    "datetime": "return its .isoformat()",
    "date": "return its .isoformat()",
    "Decimal": "return str(…) or float(…)",
    "UUID": "return str(…)",
    "PosixPath": "return str(…), or LocalArtifact(path=…) for the file itself",
    "bytes": "return LocalArtifact(data=…)",
    "bytearray": "return LocalArtifact(data=bytes(…))",
    "DataFrame": "return its .to_dict('records'), or write a file and return LocalArtifact(path=…)",
    "ndarray": "return its .tolist(), or write a file and return LocalArtifact(path=…)",
    "coroutine": "make the task's function async, or await it",
}


def dumps(value: Any, *, task_id: str, limit: int, artifact: Callable[[LocalArtifact], dict[str, Any]]) -> bytes:
    """JSON of a task's output; `artifact` stores a LocalArtifact in it and says what stands for it.

    Raises ArtifactSerializationError, which names the task, the place, the type and what to return instead. In the
    JSON, tuples are lists and keys are texts.
    """

    def encode(item: Any) -> Any:
        if isinstance(item, LocalArtifact):
            return artifact(item)
        raise _Unserializable(item)

    try:
        text = json.dumps(value, allow_nan=False, ensure_ascii=False, default=encode, separators=(",", ":"))
        data = text.encode() if text.isascii() else _utf8(text, value, encode)
    except RecursionError:
        raise _refusal(task_id, "is nested too deep", "flatten it, or return a LocalArtifact") from None
    except (_Unserializable, TypeError, ValueError) as error:
        raise _explained(task_id, value, error) from None
    if len(data) > limit:
        raise _refusal(
            task_id,
            f"is {described_size(len(data))} of JSON, more than {described_size(limit)}",
            "store it elsewhere and return its address, or raise DAGY_LOCAL_ARTIFACT_MAX_BYTES",
        )
    return data


def loads(data: bytes, artifact: Callable[[str], LocalArtifact]) -> Any:
    """An output as another run takes it over; `artifact` gives the file of that name. Raises ValueError, OSError."""

    def decode(item: dict[str, Any]) -> Any:
        name = item.get("dagy_artifact")
        return artifact(name) if isinstance(name, str) and "sha256" in item else item

    return json.loads(data, object_hook=decode)


def _utf8(text: str, value: Any, encode: Callable[[Any], Any]) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair: JSON can escape it, UTF-8 can't hold it
        return json.dumps(value, allow_nan=False, default=encode, separators=(",", ":")).encode()


class _Unserializable(Exception):
    def __init__(self, item: Any) -> None:
        super().__init__(item)
        self.item = item


def _explained(task_id: str, value: Any, error: Exception) -> ArtifactSerializationError:
    place, found = _culprit(value, "output", set()) or ("output", None)
    if found is None:
        return _refusal(task_id, f"can't be JSON ({error})", "return serializable data, or a LocalArtifact")
    if isinstance(found, float):
        return _refusal(task_id, f"holds {found} at {place}, which JSON does not have", "return None in its place")
    if isinstance(found, (list, tuple, dict)):
        return _refusal(task_id, f"contains itself at {place}", "return serializable data, or a LocalArtifact")
    if isinstance(found, _Key):
        return _refusal(
            task_id, f"has a key of type {found.type_name} at {place}", "keys of JSON are texts: return str(…) of it"
        )
    name = type(found).__name__
    hint = _HINTS.get(name, "return serializable data (what JSON has), or a LocalArtifact")
    return _refusal(task_id, f"holds a {name} at {place}, which JSON does not have", hint)


class _Key:
    def __init__(self, key: object) -> None:
        self.type_name = type(key).__name__


def _culprit(value: Any, place: str, inside: set[int]) -> tuple[str, Any] | None:
    """The first thing in a value that JSON does not have, and where."""
    if value is None or isinstance(value, (str, int, LocalArtifact)):
        return None
    if isinstance(value, float):
        return (place, value) if value != value or value in (float("inf"), float("-inf")) else None
    if not isinstance(value, (list, tuple, dict)):
        return place, value
    if id(value) in inside:
        return place, value
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in pairs:
        if isinstance(value, dict) and not (key is None or isinstance(key, (str, int, float))):
            return place, _Key(key)
        found = _culprit(item, f"{place}[{key!r}]", inside | {id(value)})
        if found:
            return found
    return None


def _refusal(task_id: str, problem: str, advice: str) -> ArtifactSerializationError:
    return ArtifactSerializationError(f"The output of task {task_id!r} {problem}: {advice}.", task_id=task_id)


def refusal_of(task_id: str, value: Any) -> ArtifactSerializationError:
    """Why a value that could not leave its process can't be an output."""
    return _explained(task_id, value, TypeError("it can't be pickled"))

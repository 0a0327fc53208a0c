"""The values of secrets in what a run's process says, before anything of it is kept."""

import base64
import json
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

from pydantic_core import from_json

FILTERED = "[Filtered]"


class Mask:
    """Hides each value, also in base64 and as a part of a URL, and each longer line of one that has several."""

    def __init__(self, values: Iterable[str]) -> None:
        # A longer one may hold a shorter one.
        self._hidden = sorted({form for value in values for form in _forms(value)}, key=len, reverse=True)
        self._in_json = [json.dumps(form)[1:-1].encode() for form in self._hidden]

    def read(self, line: bytes) -> Any:
        """A line of JSON, with secrets hidden in its texts. Raises ValueError, RecursionError."""
        try:
            message = from_json(line)
        except ValueError:  # as it says of half of a surrogate pair
            message = json.loads(line)
        return self._masked(message) if any(form in line for form in self._in_json) else message

    def _masked(self, value: Any) -> Any:
        if isinstance(value, str):
            for hidden in self._hidden:
                value = value.replace(hidden, FILTERED)
            return value
        if isinstance(value, dict):
            return {self._masked(key): self._masked(item) for key, item in value.items()}
        return [self._masked(item) for item in value] if isinstance(value, list) else value


def _forms(value: str) -> set[str]:
    lines = {line for line in value.splitlines() if len(line) >= 8}  # a log may tell a key line by line
    return {value, quote(value, safe=""), base64.b64encode(value.encode()).decode(), *lines}

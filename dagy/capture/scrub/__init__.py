"""Secrets are taken out before anything leaves the process: by the name of a field, and by the look of a value.

Names are compared by their words, at any depth (`secret_token`, `userPassword`, `X-Api-Key`), values by patterns
(our own keys, JWT, cloud and vendor tokens, PEM keys, passwords in URLs, card numbers, IBANs, `password=…` in text).
A filtered value reads `[Filtered]`; its name stays, so that a reader sees that it was there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from dagy.capture.scrub import looks
from dagy.capture.scrub.looks import FILTERED, counted
from dagy.capture.scrub.messages import without_named_messages, without_url_secrets
from dagy.capture.scrub.pairs import without_pairs
from dagy.secrecy import Secrecy, is_count, secrecy_of

__all__ = ["FILTERED", "Scrubber"]

_NOT_ALNUM = re.compile(r"[^a-z0-9]+")
_HEADER_LINE = re.compile(
    r"((?:proxy-)?authorization|(?:set-)?cookies?2?)"
    r"(\\*+[\"']?\s{0,3}(?:[:=]|,(?=\s*+[bu]?\\*+[\"']))\s{0,3}(?:[bu]?\\*+[\"'])?)"
    r"((?<=\\[\"'])(?:[^\\\r\n]++|\\++(?![\"']))+|(?<=\")(?:[^\"\\\r\n]|\\.)+|(?<=')(?:[^'\\\r\n]|\\.)+"
    r"|[^\r\n\"'][^\r\n]*)",
    re.IGNORECASE,
)
_SCHEME = re.compile(
    r"\b(Basic|Bearer|Digest|Negotiate)(\s++|%20|\+)([A-Za-z0-9+/=._~-]{6,})",
    re.IGNORECASE,
)
# What calls a field by its name, and what holds its value: `{"name": "password", "value": "…"}`.
_LABELS = ("name", "key", "field", "param", "parameter", "header", "attribute", "variable", "id", "label", "loc")
_LABELLED = ("value", "values", "val", "content", "data", "default", "input", "text")
# A code alone is a status or a country; with one of these beside it, it is OAuth's.
_OAUTH = frozenset({"state", "redirect_uri", "grant_type", "client_id", "code_verifier", "session_state", "iss"})


class Scrubber:
    """Takes secrets out of texts and of plain JSON values. One per configuration; used by several threads.

    `keys` are further names whose values are filtered (compared without case and punctuation, anywhere in the name),
    `patterns` further values (a match is replaced whole).
    """

    def __init__(
        self,
        *,
        keys: Iterable[str] = (),
        patterns: Iterable[re.Pattern[str] | str] = (),
    ) -> None:
        self._keys = tuple(filter(None, (_NOT_ALNUM.sub("", key.lower()) for key in keys)))
        self._patterns = tuple(re.compile(pattern) for pattern in patterns)
        self._names: dict[str, Secrecy] = {}

    def is_secret_name(self, name: str) -> bool:
        """Whether the value of a field of this name is filtered."""
        return bool(self._secrecy(name))

    def value(self, value: Any, counter: list[int]) -> Any:
        """A copy of a plain JSON value without secrets. `counter[0]` grows by the number of values filtered."""
        if isinstance(value, str):
            return self.text(value, counter)
        if isinstance(value, dict):
            return self._object(value, counter)
        if isinstance(value, list):
            if len(value) == 2 and isinstance(value[0], str) and self.is_secret_name(value[0]):
                return [value[0], self._field(value[0], value[1], counter)]
            return [self.value(item, counter) for item in value]
        if isinstance(value, int | float) and not isinstance(value, bool) and looks.is_card(value):
            counter[0] += 1
            return FILTERED
        return value

    def text(self, text: str, counter: list[int], *, code: bool = False) -> str:
        """`text` without secrets. With `code`, names are only followed by quoted values: `token = get_token()` is
        a line of source that a reader needs, `token = "abc"` a secret."""
        for pattern in self._patterns:
            text = counted(pattern, FILTERED, text, counter)
        if len(text) < 6:
            return text
        text = looks.without_tokens(text, counter)
        text = without_url_secrets(text, counter)
        if not code:
            text = without_named_messages(text, self._secrecy, counter)
        lower = text.lower()
        if "authorization" in lower or "cookie" in lower:
            text = counted(_HEADER_LINE, _header_line_in_code if code else rf"\1\2{FILTERED}", text, counter)
        if "basic" in lower or "bearer" in lower or "digest" in lower or "negotiate" in lower:
            text = counted(_SCHEME, _scheme, text, counter)
        return without_pairs(text, self._secrecy, counter, code=code)

    def has_token(self, text: str) -> bool:
        """Whether `text` holds what looks like a token: for identifiers, in which digits mean nothing."""
        return looks.has_token(text) or any(pattern.search(text) for pattern in self._patterns)

    def _secrecy(self, name: str) -> Secrecy:
        if len(name) > 200:
            name = f"{name[:100]}{name[-100:]}"
        known = self._names.get(name)
        if known is None:
            known = self._judge_name(name)
            if len(self._names) >= 5000:
                self._names.clear()
            self._names[name] = known
        return known

    def _judge_name(self, name: str) -> Secrecy:
        joined = _NOT_ALNUM.sub("", name.lower())
        return Secrecy.SURE if any(key in joined for key in self._keys) else secrecy_of(name)

    def _object(self, value: dict[str, Any], counter: list[int]) -> dict[str, Any]:
        secret = self._labelled(value)
        if isinstance(value.get("code"), str) and not _OAUTH.isdisjoint(value):
            secret |= {"code"}
        return {
            self.text(key, counter): self._filtered(item, counter) if key in secret else self._field(key, item, counter)
            for key, item in value.items()
        }

    def _labelled(self, value: dict[str, Any]) -> set[str]:
        """The fields of `{"name": "password", "value": …}` that hold the value of a secret."""
        names = {key.lower(): key for key in value}
        for label in _LABELS:
            said = value.get(names.get(label, ""))
            if isinstance(said, list) and said:
                said = said[-1]
            if isinstance(said, str) and len(said) <= 200 and self.is_secret_name(said):
                return {names[name] for name in _LABELLED if name in names}
        return set()

    def _field(self, name: str, item: Any, counter: list[int]) -> Any:
        if not self.is_secret_name(name) or (is_count(name) and isinstance(item, int | float)):
            return self.value(item, counter)
        return self._filtered(item, counter)

    def _filtered(self, item: Any, counter: list[int]) -> Any:
        if item is None or isinstance(item, bool) or item in ("", FILTERED):
            return item
        counter[0] += 1
        return FILTERED


def _header_line_in_code(match: re.Match[str]) -> str:
    return f"{match[1]}{match[2]}{FILTERED}" if match[2].endswith(('"', "'")) else match[0]


def _scheme(match: re.Match[str]) -> str:
    value = match[3]
    if re.match("[a-z_]+=[^=]", value):  # `token_type=bearer expires_in=3600`
        return match[0]
    prose = value.isalpha() and len(value) < 20 and (value.islower() or value.istitle() or value.isupper())
    return match[0] if prose else f"{match[1]}{match[2]}{FILTERED}"

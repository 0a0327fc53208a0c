"""Secrets are taken out before anything leaves the process: by the name of a field, and by the look of a value.

Names are compared by their parts, at any depth (`secret_token`, `userPassword`, `X-Api-Key`), values by patterns
(our own keys, JWT, cloud and vendor tokens, PEM keys, passwords in URLs, card numbers, IBANs, `password=…` in text).
A filtered value reads `[Filtered]`; its name stays, so that a reader sees that it was there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

FILTERED = "[Filtered]"


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_PARTS = _words(
    "pass password passwd pwd passphrase passcode secret secrets token tokens auth authorization authentication "
    "credential credentials cookie cookies session sessionid sid csrf xsrf csrftoken csrfmiddlewaretoken apikey "
    "apikeys privatekey accesskey secretkey signature jwt bearer otp totp pin cvv cvc cvv2 ssn phpsessid jsessionid "
    "oauth oauth2 signingkey encryptionkey masterkey symfony iban"
)
# `key` alone is seldom a secret (an S3 key, a sort key); with one of these before it, it is.
_BEFORE_KEY = _words(
    "api app access private secret signing encryption encrypt master auth ssh account client shared storage service "
    "crypto aes rsa hmac webhook license deploy"
)
_ANYWHERE = re.compile(
    r"passw|passphrase|secret|token|apikey|credential|authorization|cookie|sessionid|sessid|privatekey|accesskey"
)
_SPLIT_NAME = re.compile(r"[^A-Za-z0-9]+|(?<=[a-z0-9])(?=[A-Z])")
_NOT_ALNUM = re.compile(r"[^a-z0-9]+")

# These texts are strangers', and `re` holds the interpreter's lock: no pattern may look through the same run twice.
# So runs are taken whole and never given back (`*+`, `++`, `(?>…)`). Bounds instead would let the rest of a run by.
# Passwords are filtered after any `=` or `:`; the second kind, words of everyday prose too ("unexpected token: foo"),
# after `:` only where the value looks like a secret.
_STRONG = (
    r"pass(?:word|wd|phrase|code)s?|pwd|secrets?|credentials?|api[_-]?keys?|access[_-]?keys?|private[_-]?keys?|"
    r"secret[_-]?keys?|signing[_-]?keys?|encryption[_-]?keys?|account[_-]?keys?"
)
_WEAK = r"tokens?|session(?:[_-]?id)?|sessid|sid|csrf|xsrf|auth|signature|jwt|otp|totp|pin|cvv|cvc|pass"
_NAMED = re.compile(
    rf"(?:(?P<strong>{_STRONG})|(?<![a-z])(?P<weak>{_WEAK})|(?P<late>tokens?|sessid))"
    r"(?P<rest>[\w-]{0,40}+\\*+[\"']?\]?)"
    r"(?:(?P<sep>\s{0,3}(?:=>|==?|:|%3[Dd]|(?<=\s)(?:is|was)(?=\s))\s{0,3})|(?<=[\"'])(?P<comma>\s{0,3},\s{0,3}))"
    r"(?:[bBuUrRfF]{1,2}(?=\\*+[\"']))?"
    r"(?P<value>\\++\"(?:[^\\]++|\\++(?!\"))*(?:\\++\"|\Z)|\\++'(?:[^\\]++|\\++(?!'))*(?:\\++'|\Z)"
    r"|\"(?:[^\"\\]|\\.)*(?:\"|\\?\Z)|'(?:[^'\\]|\\.)*(?:'|\\?\Z)"
    r"|[^\s,;&\"'<>(){}\[\]\\]+)",
    re.IGNORECASE | re.DOTALL,
)
_NAMED_HINTS = ("pass", "pwd", "secret", "token", "credential", "key", "sess", "sid", "csrf", "xsrf", "auth",
                "signature", "jwt", "otp", "pin", "cvv", "cvc")  # fmt: skip
_HEADER_LINE = re.compile(
    r"((?:proxy-)?authorization|(?:set-)?cookies?2?)"
    r"(\\*+[\"']?\s{0,3}(?:[:=]|,(?=\s*+[bu]?\\*+[\"']))\s{0,3}(?:[bu]?\\*+[\"'])?)"
    r"((?<=\\[\"'])(?:[^\\\r\n]++|\\++(?![\"']))+|(?<=\")(?:[^\"\\\r\n]|\\.)+|(?<=')(?:[^'\\\r\n]|\\.)+|[^\r\n\"'][^\r\n]*)",
    re.IGNORECASE,
)
_SCHEME = re.compile(
    r"\b(Basic|Bearer|Digest|Negotiate)(\s++|%20|\+)([A-Za-z0-9+/=._~-]{6,})",
    re.IGNORECASE,
)
_CARD = re.compile(r"(?<![\w.-])\d(?:[ -]?\d){12,18}(?![-.]?\w)")
_CARD_PREFIX = re.compile(r"4|5[1-5]|2[2-7]|3[4-9]|30|6(?:011|4|5)")
_IBAN = re.compile(r"(?<!\w)[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?!\w)")
_USERINFO = re.compile(r"(://[^/\s:@\"'?#]{0,200}:)[^\s/]{1,500}@")

# The text that must be there for the pattern to match: `in` costs a hundredth of a regular expression.
_TOKENS: tuple[tuple[str, re.Pattern[str], str], ...] = (
    ("dagy_", re.compile(r"dagy_(?:sk|at|im|rt|wh)_[A-Za-z0-9_=.-]+"), FILTERED),
    ("dgy_", re.compile(r"dgy_[A-Za-z0-9_-]{8,}"), FILTERED),
    # From the beginning of the word: of a word without a dot, each `eyJ` would look for one again.
    ("eyJ", re.compile(r"(?<![\w-])((?>[\w-]*?(?=eyJ[\w-]{4})))[\w-]++(?:\.[\w-]*+){1,4}"), r"\1" + FILTERED),
    ("PRIVATE KEY", re.compile(
        r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----.*?"
        r"(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----|\Z)", re.DOTALL), FILTERED),
    ("AKIA", re.compile(r"(?<![A-Za-z0-9])AKIA[A-Z0-9]{12,}"), FILTERED),
    ("ASIA", re.compile(r"(?<![A-Za-z0-9])ASIA[A-Z0-9]{12,}"), FILTERED),
    ("gh", re.compile(r"(?<![A-Za-z0-9])gh[pousr]_[A-Za-z0-9]{16,}"), FILTERED),
    ("github_pat_", re.compile(r"github_pat_\w{20,}"), FILTERED),
    ("glpat-", re.compile(r"glpat-[\w-]{16,}"), FILTERED),
    ("_live_", re.compile(r"(?<![A-Za-z0-9])[spr]k_live_[A-Za-z0-9]{8,}"), FILTERED),
    ("_test_", re.compile(r"(?<![A-Za-z0-9])[spr]k_test_[A-Za-z0-9]{8,}"), FILTERED),
    ("whsec_", re.compile(r"whsec_[A-Za-z0-9+/=]{8,}"), FILTERED),
    ("sk-", re.compile(r"(?<![A-Za-z0-9])sk-[A-Za-z0-9_-]{20,}"), FILTERED),
    ("xox", re.compile(r"xox[abeoprs]-[A-Za-z0-9-]{8,}"), FILTERED),
    ("hooks.slack.com", re.compile(r"(hooks\.slack\.com/(?:services|workflows)/)[\w/-]+"), r"\1" + FILTERED),
    ("AIza", re.compile(r"AIza[\w-]{30,}"), FILTERED),
    ("ya29.", re.compile(r"ya29\.[\w-]{16,}"), FILTERED),
    ("SG.", re.compile(r"(?<!\w)SG\.[\w-]{16,}\.[\w-]{16,}"), FILTERED),
    ("npm_", re.compile(r"npm_[A-Za-z0-9]{30,}"), FILTERED),
    ("pypi-", re.compile(r"pypi-[\w-]{16,}"), FILTERED),
    ("hvs.", re.compile(r"hvs\.[\w-]{16,}"), FILTERED),
)  # fmt: skip


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
        self._names: dict[str, bool] = {}

    def is_secret_name(self, name: str) -> bool:
        """Whether the value of a field of this name is filtered."""
        name = name[:200]
        known = self._names.get(name)
        if known is None:
            known = self._judge_name(name)
            if len(self._names) < 5000:
                self._names[name] = known
        return known

    def value(self, value: Any, counter: list[int]) -> Any:
        """A copy of a plain JSON value without secrets. `counter[0]` grows by the number of values filtered."""
        if isinstance(value, str):
            return self.text(value, counter)
        if isinstance(value, dict):
            return {self.text(key, counter): self._field(key, item, counter) for key, item in value.items()}
        if isinstance(value, list):
            if len(value) == 2 and isinstance(value[0], str) and self.is_secret_name(value[0]):
                return [value[0], self._field(value[0], value[1], counter)]
            return [self.value(item, counter) for item in value]
        if isinstance(value, int) and not isinstance(value, bool) and value >= 10**12:
            return self._number(value, counter)
        return value

    def text(self, text: str, counter: list[int], *, code: bool = False) -> str:
        """`text` without secrets. With `code`, names are only followed by quoted values: `token = get_token()` is
        a line of source that a reader needs, `token = "abc"` a secret."""
        for pattern in self._patterns:
            text = _counted(pattern, FILTERED, text, counter)
        if len(text) < 6:
            return text
        for hint, pattern, replacement in _TOKENS:
            if hint in text:
                text = _counted(pattern, replacement, text, counter)
        if "://" in text:
            text = _counted(_USERINFO, rf"\1{FILTERED}@", text, counter)
        text = _counted(_CARD, _card, text, counter)
        text = _counted(_IBAN, _iban, text, counter)
        lower = text.lower()
        if "authorization" in lower or "cookie" in lower:
            text = _counted(
                _HEADER_LINE,
                _header_line_in_code if code else rf"\1\2{FILTERED}",
                text,
                counter,
            )
        if "basic" in lower or "bearer" in lower or "digest" in lower or "negotiate" in lower:
            text = _counted(_SCHEME, _scheme, text, counter)
        if any(hint in lower for hint in _NAMED_HINTS):
            text = _counted(_NAMED, _named_in_code if code else _named, text, counter)
        return text

    def has_token(self, text: str) -> bool:
        """Whether `text` holds what looks like a token: for identifiers, in which digits mean nothing."""
        return any(hint in text and pattern.search(text) for hint, pattern, _ in _TOKENS) or any(
            pattern.search(text) for pattern in self._patterns
        )

    def _judge_name(self, name: str) -> bool:
        parts = [part.lower() for part in _SPLIT_NAME.split(name) if part]
        if any(part in _PARTS for part in parts):
            return True
        if any(part in ("key", "keys") and parts[at] in _BEFORE_KEY for at, part in enumerate(parts[1:])):
            return True
        joined = "".join(parts)
        return _ANYWHERE.search(joined) is not None or any(key in joined for key in self._keys)

    def _field(self, name: str, item: Any, counter: list[int]) -> Any:
        if not self.is_secret_name(name):
            return self.value(item, counter)
        if item is None or isinstance(item, bool) or item in ("", FILTERED):
            return item
        counter[0] += 1
        return FILTERED

    def _number(self, value: int, counter: list[int]) -> Any:
        if value >= 10**19 or not _is_card(str(value)):
            return value
        counter[0] += 1
        return FILTERED


def _counted(
    pattern: re.Pattern[str],
    replacement: str | Callable[[re.Match[str]], str],
    text: str,
    counter: list[int],
) -> str:
    text, count = pattern.subn(replacement, text)
    counter[0] += count
    return text


def _named(match: re.Match[str]) -> str:
    value = match["value"]
    quote = _quote(value)
    if value.strip("\\\"'") in (
        "",
        FILTERED,
        "None",
        "null",
        "True",
        "False",
        "true",
        "false",
    ):
        return match[0]
    separator = (match["sep"] or "").strip().lower()
    # `NoCredentialsError: …` is a class and its message.
    if separator == ":" and match["rest"].lower().endswith(("error", "exception", "expired", "failure")):
        return match[0]
    prose = separator in ("is", "was") or (separator == ":" and not match["strong"])
    if prose and not quote and not _looks_secret(value):
        return match[0]
    if match["comma"] and not quote:
        return match[0]
    return f"{match[0][: match.start('value') - match.start()]}{quote}{FILTERED}{quote}"


def _named_in_code(match: re.Match[str]) -> str:
    return _named(match) if _quote(match["value"]) else match[0]


def _quote(value: str) -> str:
    found = re.match(r"\\*[\"']", value)
    return found[0] if found else ""


def _looks_secret(value: str) -> bool:
    return len(value) >= 16 or (len(value) >= 4 and any(character.isdigit() for character in value))


def _header_line_in_code(match: re.Match[str]) -> str:
    return f"{match[1]}{match[2]}{FILTERED}" if match[2].endswith(('"', "'")) else match[0]


def _scheme(match: re.Match[str]) -> str:
    value = match[3]
    prose = value.isalpha() and len(value) < 20 and (value.islower() or value.istitle() or value.isupper())
    return match[0] if prose else f"{match[1]}{match[2]}{FILTERED}"


def _card(match: re.Match[str]) -> str:
    return FILTERED if _is_card(re.sub(r"[ -]", "", match[0])) else match[0]


def _is_card(digits: str) -> bool:
    if not 13 <= len(digits) <= 19 or not _CARD_PREFIX.match(digits):
        return False
    odd = sum(int(digit) for digit in digits[-1::-2])
    even = sum(sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])
    return (odd + even) % 10 == 0


def _iban(match: re.Match[str]) -> str:
    compact = match[0].replace(" ", "")
    if not 15 <= len(compact) <= 34:
        return match[0]
    number = "".join(str(int(character, 36)) for character in compact[4:] + compact[:4])
    return FILTERED if int(number) % 97 == 1 else match[0]

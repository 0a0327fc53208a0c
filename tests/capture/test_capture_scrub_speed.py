"""Scrubbing holds the interpreter's lock: no text that a stranger sends may make it take more than linear time."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable

import pytest

from dagy import secrecy as names
from dagy.capture import scrub
from dagy.capture.scrub import Scrubber, looks, messages, pairs
from tests.timing import LONG

# The longest text that is scrubbed, and what it may take; short runs conclude from a quarter of it.
FULL, LIMIT_SECONDS = 64 * 1024, 0.5
SIZE = FULL if LONG else FULL // 4
PATTERNS = {
    f"{module.__name__}.{name}": pattern
    for module in (scrub, looks, messages, names, pairs)
    for name, pattern in vars(module).items()
    # The last two are only matched right behind a name that was found, and are bounded.
    if isinstance(pattern, re.Pattern) and name not in ("_INPUT", "_LABELLED")
}
VENDORS = {hint: pattern for hint, pattern, _ in looks._TOKENS}
for number, (_, pattern) in enumerate(messages._ARGUMENTS):
    PATTERNS[f"argument {number}"] = pattern
# What brings a pattern up to the point from which it repeats something.
OPENINGS = [
    "", "password", "password=", 'password="', "password='", 'password=\\"', "password=\\'", "password=b\\", "token: ",
    "cookie", "cookie=", 'cookie="', 'cookie=\\"', "cookie=\\'", "cookie,", "authorization:b\\", "Basic", "Bearer ",
    "eyJ", "eyJaaaa", "eyJaaaa.", "-----BEGIN PRIVATE KEY-----", "-----BEGIN ", "://", "://a:", "dagy_sk_", "dgy_",
    "SG.", "SG.aaaaaaaaaaaaaaaaaaaa.", "sk-", "hooks.slack.com/services/", "xoxb-", "AKIA", "4", "GB82", "ghp_",
    "password=(", "password: |\n ", "password=`", "&quot;password&quot;:&quot;", "%26password%3D", "\\u0070assword",
    "(", "(a)=(",
    "row contains (", "[parameters: (", "[SQL: password [parameters: (", "INSERT INTO a (password) VALUES (",
    "INSERT INTO a (password) VALUES ('", "a\n  input_value=", "password\n  a [input_value='", "input_value={",
    "'loc': ('password')",
    "<password>", "<password><![CDATA[", "<key>password</key><a>", "name=password ", "name=password value=",
    "mysql -p", "curl -u ",
    "--password ", "password 'a", "crypt('", "IDENTIFIED BY '", "/reset/", "?code=", "code=", "api ", "1", "4111.",
]  # fmt: skip
REPEATED = [
    "\\", '\\"', "\\'", '"', "'", " ", "a", "A", "1", "_", "-", ".", ",", "=", ":", "/", "+", "@", "\n", "a.", "1 ",
    "A1 ", "\\\\x", "eyJ", "eyJa", "eyJaaaa", "eyJ.", "-eyJaaaa", "pass", "password", "secret_", "token", "otp-",
    "cookie", "cookie:", "cookie,", "authorization: ", "Basic ", "-----END ", "-----BEGIN PRIVATE KEY", "://a:",
    "SG.", "-SG.aaaaaaaaaaaaaaaa", "sk-", "xoxb-", "gh", "ABCD ", "pin',", 'token=\\"', 'cookie=\\"', "Set-Cookie2",
    "password=(", "password:\n  ", "a=", "a:", "a&", "%41", "%26a", "\\u0061", "(a)=(", "(", "[", "{", "<", "<a>",
    "<a ", "&lt;", "key", "é",
    "[parameters: (", "[SQL: a", "INSERT INTO a ", "INSERT INTO a (b) VALUES (1)", "a\n  ", "input_value=",
    "'loc': ('otp')", "mysql ", "docker ",
    "mysql -p1 ", "--pin ", "name=otp ", "name=otp,value=", "value=", "reset/", "/reset/a", "?code=", "a@", "a:a@",
    "a-", "api key ", "4111 ",
    "row contains (", "row contains (a)\n", "IDENTIFIED BY '", "crypt('", "password ", "password: a ", "pass_", "''",
    "'a", "&#39;", "$",
]  # fmt: skip


def spent(work: object, *args: object) -> float:
    """Seconds of this thread, so that a busy machine changes nothing."""
    started = time.thread_time()
    work(*args)  # type: ignore[operator]
    return time.thread_time() - started


Text = tuple[str, str, str]


def worst(opening: str) -> list[Text]:
    """Each repetition with an end that is none and, for the shortest, with one that makes a pattern give back."""
    return [(opening, repeated, end) for repeated in REPEATED for end in ("", "!") if not end or len(repeated) < 4]


def written(text: Text, size: int) -> str:
    opening, repeated, end = text
    return f"{opening}{repeated * (size // len(repeated))}{end}"


def too_slow(work: Callable[[str], object], texts: Iterable[Text], size: int, count: int) -> list[Text]:
    """Those texts that would take longer than LIMIT_SECONDS at their full length. Tried are the `count` that take
    longest at `size`: what grows with the square would take minutes if all were tried."""
    small = {text: spent(work, written(text, size)) for text in texts}
    assert max(small.values()) < 0.1
    return [text for text in sorted(small, key=lambda text: small[text])[-count:] if is_too_slow(work, text)]


def is_too_slow(work: Callable[[str], object], text: Text) -> bool:
    took = least(work, written(text, SIZE))
    shorter = FULL // SIZE
    if took < LIMIT_SECONDS / shorter**2:
        return False
    # Four times the length in much more than four times the time is the square.
    return took > LIMIT_SECONDS / shorter or took > 7 * least(work, written(text, SIZE // 4))


def least(work: Callable[[str], object], text: str) -> float:
    """Seconds; of three tries where one is slow, since what else a machine does only ever adds to them."""
    took = spent(work, text)
    return took if took < LIMIT_SECONDS / 40 else min(took, spent(work, text), spent(work, text))


@pytest.mark.parametrize("opening", OPENINGS)
def test_no_repeated_characters_make_scrubbing_slow(opening: str) -> None:
    scrubber = Scrubber()
    # Each repetition is tried behind every third opening, and all of them behind none.
    texts = worst(opening)[OPENINGS.index(opening) % 3 :: 3] if opening else worst(opening)
    assert not too_slow(lambda text: scrubber.text(text, [0]), texts, SIZE // (16 if LONG else 32), 3 if LONG else 2)


@pytest.mark.parametrize("name", PATTERNS)
def test_no_pattern_is_slow_on_the_characters_it_repeats(name: str) -> None:
    # Over all openings each repetition is tried; each opening has a sixth of them.
    texts = [text for number, opening in enumerate(OPENINGS) for text in worst(opening)[number % 6 :: 6]]
    assert not too_slow(lambda text: PATTERNS[name].sub("", text), texts, SIZE // 32, 6)


@pytest.mark.parametrize("hint", VENDORS)
def test_no_vendor_pattern_is_slow_on_what_looks_like_its_tokens(hint: str) -> None:
    texts = [*worst(""), *worst(hint), ("", hint, "")]
    assert not too_slow(lambda text: VENDORS[hint].sub("", text), texts, SIZE // 32, 3)


@pytest.mark.parametrize("opening", ['cookie=\\"', 'password=\\"', "authorization: \\'", "{\\'token\\': \\'"])
def test_a_secret_among_many_backslashes_is_filtered(opening: str) -> None:
    for text in (f"{opening}hunter2", f"{opening}{chr(92) * 5000}hunter2", f"{opening}a{chr(92) * 5000}x hunter2"):
        assert "hunter2" not in Scrubber().text(text, [0])


def test_names_as_long_as_a_body_are_not_kept() -> None:
    scrubber = Scrubber()
    for number in range(50):
        assert not scrubber.is_secret_name(f"{number:05d}" + "x" * SIZE)
    assert sum(map(len, scrubber._names)) < SIZE

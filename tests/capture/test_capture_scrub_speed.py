"""Scrubbing holds the interpreter's lock: no text that a stranger sends may make it take more than linear time."""

from __future__ import annotations

import re
import time

import pytest

from dagy.capture import scrub
from dagy.capture.scrub import Scrubber, looks, messages, names, pairs

SIZE = 64 * 1024
PATTERNS = {
    f"{module.__name__}.{name}": pattern
    for module in (scrub, looks, messages, names, pairs)
    for name, pattern in vars(module).items()
    if isinstance(pattern, re.Pattern)
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


def worst(opening: str) -> list[str]:
    """Each repetition with an end that is none and, for the shortest, with one that makes a pattern give back."""
    texts = [opening + repeated * (SIZE // len(repeated)) for repeated in REPEATED]
    return texts + [f"{text}!" for repeated, text in zip(REPEATED, texts, strict=True) if len(repeated) < 4]


@pytest.mark.parametrize("opening", OPENINGS)
def test_no_repeated_characters_make_scrubbing_slow(opening: str) -> None:
    scrubber = Scrubber()
    # First at a sixteenth of the size: what grows with the square would take minutes at the full one.
    small = {text: spent(scrubber.text, text[: SIZE // 16], [0]) for text in worst(opening)}
    assert max(small.values()) < 0.1
    slowest = sorted(small, key=lambda text: small[text])[-6:]
    times = {text[:30]: spent(scrubber.text, text, [0]) for text in slowest}
    assert max(times.values()) < 0.5, times


@pytest.mark.parametrize("name", PATTERNS)
def test_no_pattern_is_slow_on_the_characters_it_repeats(name: str) -> None:
    pattern = PATTERNS[name]
    small = {text: spent(pattern.sub, "", text[:2048]) for opening in OPENINGS for text in worst(opening)[::2]}
    slowest = sorted(small, key=lambda text: small[text])[-6:]
    times = {text[:30]: spent(pattern.sub, "", text) for text in slowest}
    assert max(times.values()) < 0.5, times


@pytest.mark.parametrize("hint", VENDORS)
def test_no_vendor_pattern_is_slow_on_what_looks_like_its_tokens(hint: str) -> None:
    for opening in ("", hint):
        texts = [*worst(opening), hint * (SIZE // len(hint))]
        small = {text: spent(VENDORS[hint].sub, "", text[:2048]) for text in texts}
        slowest = sorted(small, key=lambda text: small[text])[-3:]
        times = {text[:30]: spent(VENDORS[hint].sub, "", text) for text in slowest}
        assert max(times.values()) < 0.5, times


@pytest.mark.parametrize("opening", ['cookie=\\"', 'password=\\"', "authorization: \\'", "{\\'token\\': \\'"])
def test_a_secret_among_many_backslashes_is_filtered(opening: str) -> None:
    for text in (f"{opening}hunter2", f"{opening}{chr(92) * 5000}hunter2", f"{opening}a{chr(92) * 5000}x hunter2"):
        assert "hunter2" not in Scrubber().text(text, [0])


def test_names_as_long_as_a_body_are_not_kept() -> None:
    scrubber = Scrubber()
    for number in range(50):
        assert not scrubber.is_secret_name(f"{number:05d}" + "x" * SIZE)
    assert sum(map(len, scrubber._names)) < SIZE

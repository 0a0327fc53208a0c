"""Scrubbing holds the interpreter's lock: no text that a stranger sends may make it take more than linear time."""

from __future__ import annotations

import re
import time

import pytest

from dagy.capture import scrub
from dagy.capture.scrub import Scrubber

SIZE = 64 * 1024
PATTERNS = {
    **{name: pattern for name, pattern in vars(scrub).items() if isinstance(pattern, re.Pattern)},
    **{hint: pattern for hint, pattern, _ in scrub._TOKENS},
}
# What brings a pattern up to the point from which it repeats something.
OPENINGS = [
    "", "password", "password=", 'password="', "password='", 'password=\\"', "password=\\'", "password=b\\", "token: ",
    "cookie", "cookie=", 'cookie="', 'cookie=\\"', "cookie=\\'", "cookie,", "authorization:b\\", "Basic", "Bearer ",
    "eyJ", "eyJaaaa", "eyJaaaa.", "-----BEGIN PRIVATE KEY-----", "-----BEGIN ", "://", "://a:", "dagy_sk_", "dgy_",
    "SG.", "SG.aaaaaaaaaaaaaaaaaaaa.", "sk-", "hooks.slack.com/services/", "xoxb-", "AKIA", "4", "GB82", "ghp_",
]  # fmt: skip
REPEATED = [
    "\\", '\\"', "\\'", '"', "'", " ", "a", "A", "1", "_", "-", ".", ",", "=", ":", "/", "+", "@", "\n", "a.", "1 ",
    "A1 ", "\\\\x", "eyJ", "eyJa", "eyJaaaa", "eyJ.", "-eyJaaaa", "pass", "password", "secret_", "token", "otp-",
    "cookie", "cookie:", "cookie,", "authorization: ", "Basic ", "-----END ", "-----BEGIN PRIVATE KEY", "://a:",
    "SG.", "-SG.aaaaaaaaaaaaaaaa", "sk-", "xoxb-", "gh", "ABCD ", "pin',", 'token=\\"', 'cookie=\\"', "Set-Cookie2",
]  # fmt: skip


def spent(work: object, *args: object) -> float:
    """Seconds of this thread, so that a busy machine changes nothing."""
    started = time.thread_time()
    work(*args)  # type: ignore[operator]
    return time.thread_time() - started


def worst(opening: str) -> list[str]:
    return [opening + (repeated * (SIZE // len(repeated))) + end for repeated in REPEATED for end in ("", "!")]


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


@pytest.mark.parametrize("opening", ['cookie=\\"', 'password=\\"', "authorization: \\'", "{\\'token\\': \\'"])
def test_a_secret_among_many_backslashes_is_filtered(opening: str) -> None:
    for text in (f"{opening}hunter2", f"{opening}{chr(92) * 5000}hunter2", f"{opening}a{chr(92) * 5000}x hunter2"):
        assert "hunter2" not in Scrubber().text(text, [0])


def test_names_as_long_as_a_body_are_not_kept() -> None:
    scrubber = Scrubber()
    for number in range(50):
        assert not scrubber.is_secret_name(f"{number:05d}" + "x" * SIZE)
    assert sum(map(len, scrubber._names)) < SIZE

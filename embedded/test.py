"""`python -m embedded test` and `shell`: a command with the test servers in its environment."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from embedded.processes import die_with_parent
from embedded.profile import ROOT, Profile
from embedded.shared import shared_servers

_STANDALONE = (ROOT / "tests" / "sdk", ROOT / "tests" / "capture")
# The first takes half the processor of the others: it draws no window.
_CHROMIUMS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def run_tests(profile: Profile, arguments: Sequence[str]) -> int:
    """Run pytest with `arguments` on the test servers, in parallel where they do not say otherwise; its exit code.

    Where only standalone tests are asked for, no server is started.
    """
    paths = [Path(argument.partition("::")[0]).resolve() for argument in arguments if not argument.startswith("-")]
    paths = [path for path in paths if path.exists()]
    if paths and all(map(is_standalone, paths)):
        return _run([sys.executable, "-m", "pytest", *arguments], os.environ)
    chromium = find_chromium(os.environ)
    if chromium:
        print(f"Chromium: {chromium}; the browser tests run.", flush=True)
    else:
        print("No Chromium was found (CHROMIUM, PATH): the browser tests are left out.", flush=True)
    command = [sys.executable, "-m", "pytest", *_parallel(arguments), *arguments]
    return run_command(profile, command, {"DAGY_CHROMIUM": chromium or ""})


def is_standalone(path: Path) -> bool:
    """Whether the tests of `path` run as a customer's program does: without the console and its servers."""
    return any(path.is_relative_to(directory) for directory in _STANDALONE)


def run_command(profile: Profile, command: Sequence[str], variables: Mapping[str, str]) -> int:
    """Run `command` with the test servers and `variables` in its environment; its exit code (128 + n for a signal)."""
    interrupted: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda received, _frame: interrupted.append(received))
    with shared_servers(profile) as environment:
        if interrupted:
            return 128 + interrupted[0]
        return _run(command, dict(environment) | dict(variables))


def find_chromium(environ: Mapping[str, str]) -> str | None:
    """The path of a Chromium or Chrome: CHROMIUM where that is set, else the first on PATH."""
    candidates = (environ.get("CHROMIUM") or environ.get("DAGY_CHROMIUM"), *_CHROMIUMS)
    return next((found for name in candidates if name and (found := shutil.which(name))), None)


def _parallel(arguments: Sequence[str]) -> list[str]:
    if any(argument.startswith(("-n", "--numprocesses", "--pdb", "--collect-only")) for argument in arguments):
        return []
    return ["-n", os.environ.get("DAGY_TEST_WORKERS", "4")]


def _run(command: Sequence[str], environment: Mapping[str, str]) -> int:
    try:
        process = subprocess.Popen(
            command, env=dict(environment), cwd=ROOT, preexec_fn=lambda: die_with_parent(signal.SIGTERM)
        )
    except FileNotFoundError:
        print(f"{command[0]}: command not found", file=sys.stderr)
        return 127
    # On a terminal Ctrl-C reaches the command by itself; a second one from us would cut its clean-up short.
    signal.signal(signal.SIGINT, lambda number, _: None if sys.stdin.isatty() else process.send_signal(number))
    signal.signal(signal.SIGTERM, lambda number, _: process.send_signal(number))
    code = process.wait()
    return code if code >= 0 else 128 - code

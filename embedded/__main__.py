"""The command line: `python -m embedded run | test | shell | env`."""

from __future__ import annotations

import argparse
import errno
import os
import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from embedded.errors import EmbeddedError
from embedded.profile import STATE, Profile
from embedded.run import run
from embedded.shared import is_running, serve
from embedded.signals import Stopped
from embedded.stack import Stack
from embedded.test import run_command, run_tests

_FULL_BYTES = 10 * 1024 * 1024


def main(arguments: Sequence[str]) -> int:
    """Run one command; its exit code. What goes wrong is one line on standard error, and 1."""
    options, rest = _parser().parse_known_args(arguments)
    try:
        return _dispatch(options, rest)
    except EmbeddedError as error:
        print(f"error: {error}{_full_disk(options.state)}", file=sys.stderr, flush=True)
    except Stopped:
        return 0
    except OSError as error:
        print(f"error: {_explain(error)}", file=sys.stderr, flush=True)
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m embedded", description=__doc__)
    parser.add_argument("--state", type=Path, default=STATE, help="directory of the profiles (default: .local)")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("run", help="serve the console with all it needs, until Ctrl-C")
    commands.add_parser("test", help="run pytest, with the arguments that follow, on servers of its own")
    commands.add_parser("shell", help="run the command after `--` beside the test servers")
    for name, text in (("env", "print the variables of running servers"), ("serve", "hold servers for other commands")):
        commands.add_parser(name, help=text).add_argument("profile", nargs="?", choices=("run", "test"), default="test")
    return parser


def _dispatch(options: argparse.Namespace, rest: list[str]) -> int:
    state = options.state.resolve()
    if options.command == "test":
        return run_tests(Profile("test", state), rest)
    if options.command == "shell":
        return run_command(Profile("test", state), _command(rest), {})
    if rest:
        raise EmbeddedError(f"unknown argument {rest[0]}")
    if options.command == "serve":
        return serve(Profile(options.profile, state))
    if options.command == "env":
        return _print_environment(Profile(options.profile, state))
    return run(Profile("run", state))


def _command(rest: list[str]) -> list[str]:
    command = rest[1:] if rest[:1] == ["--"] else rest
    if not command:
        raise EmbeddedError("name the command to run: python -m embedded shell -- COMMAND")
    return command


def _print_environment(profile: Profile) -> int:
    if not is_running(profile):
        raise EmbeddedError(f"The {profile.name} servers do not run.")
    stack = Stack(profile)
    stack.attach()
    environment = stack.environment() | {"DAGY_SECRET_KEY": profile.secrets()["django_secret_key"]}
    for name, value in sorted(environment.items()):
        if os.environ.get(name) != value:
            print(f"export {name}={shlex.quote(value)}")
    return 0


def _full_disk(state: Path) -> str:
    """The likely cause, to be added to what a server said before it could say no more."""
    if state.exists() and shutil.disk_usage(state).free < _FULL_BYTES:
        return f" The disk of {state} is full: free some space and start again."
    return ""


def _explain(error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"The disk is full ({error}): free some space and start again. What was stored before is kept."
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"Not permitted: {error}. The files belong to another user: start as that user, or remove them."
    return str(error)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

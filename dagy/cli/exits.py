"""Exit codes, and what is printed for an error."""

from __future__ import annotations

import sys
from enum import IntEnum


class Exit(IntEnum):
    OK = 0
    RUN_FAILED = 1
    USAGE = 2
    NOT_FOUND = 3
    NOT_LOADED = 4
    SERVER = 5
    STORAGE = 6
    CANCELLED = 130


EPILOG = """exit codes:
  0  done, or the run succeeded     4  the flow can't be loaded, or its parameters are wrong
  1  the run failed                 5  the server refused, or did not answer
  2  wrong usage                    6  the local directory can't be read or written
  3  there is no such run or task   130  the run was cancelled (Ctrl-C)

DAGY_API_URL set: `runs`, `logs`, `doctor` and `cancel` speak to that server; --local looks on this machine.
`runs push` sends a run of this machine to it."""


class UsageError(Exception):
    """What was asked for can't be done like this."""


def code_of(error: BaseException) -> int:
    """Print what went wrong on stderr; a defect of Dagy's own with its traceback."""
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else int(error.code is not None)
    if isinstance(error, KeyboardInterrupt):
        return Exit.CANCELLED
    code = _known(error)
    if code is None:
        import traceback

        traceback.print_exception(error)
        return Exit.RUN_FAILED
    print(f"dagy: {error}", file=sys.stderr)  # noqa: T201
    return code


def _known(error: BaseException) -> Exit | None:
    from dagy.errors import DependencyCycleError, FlowLoadError, LocalStorageError, ParameterError, RunNotFound

    if isinstance(error, UsageError):
        return Exit.USAGE
    if isinstance(error, (FlowLoadError, ParameterError)):
        return Exit.NOT_LOADED
    if isinstance(error, DependencyCycleError):
        return Exit.RUN_FAILED
    if isinstance(error, LocalStorageError):
        return Exit.STORAGE
    if isinstance(error, RunNotFound):
        return Exit.NOT_FOUND
    if type(error).__module__ == "dagy.client.errors":
        return Exit.NOT_FOUND if type(error).__name__ == "NotFound" else Exit.SERVER
    if isinstance(error, OSError):
        return Exit.STORAGE
    return None

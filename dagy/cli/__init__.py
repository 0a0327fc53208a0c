"""The command `dagy`. What it prints, and its exit codes, docs/cli.md tells."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    from dagy.cli.arguments import parse
    from dagy.cli.exits import code_of
    from dagy.cli.output import silence

    try:
        arguments = parse(argv)
        code = arguments.command(arguments)
        sys.stdout.flush()
    except BrokenPipeError:  # `dagy logs | head`: what reads has seen enough
        silence()
        return 0
    except BaseException as error:  # noqa: BLE001
        return code_of(error)
    return int(code or 0)

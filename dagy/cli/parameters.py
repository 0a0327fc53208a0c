"""Parameters from the command line and from files."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dagy.cli.exits import UsageError

if TYPE_CHECKING:
    from dagy.parameters import Signature


def parameters_of(arguments: Any, signature: Signature | None) -> dict[str, Any]:
    """`--parameters FILE` with `-p name=value` over it; by the flow's hints, where its signature is known."""
    given = _from_file(arguments.parameters_file) if arguments.parameters_file else {}
    texts = dict(map(_pair, arguments.parameters))
    return given | (
        signature.parse(texts) if signature is not None else {k: _json_or_text(v) for k, v in texts.items()}
    )


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise UsageError(f"-p takes name=value, not {text!r}.")
    return name, value


def _from_file(name: str) -> dict[str, Any]:
    try:
        found = json.loads(sys.stdin.read() if name == "-" else Path(name).read_text("utf-8"))
    except OSError as error:
        raise UsageError(f"--parameters: {name} can't be read ({error.strerror}).") from None
    except ValueError as error:
        raise UsageError(f"--parameters: {name} is no JSON ({error}).") from None
    if not isinstance(found, dict):
        raise UsageError(f'--parameters: {name} must hold a JSON object, such as {{"day": "2026-01-15"}}.')
    return found


def _json_or_text(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text

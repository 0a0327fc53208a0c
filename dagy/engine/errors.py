"""Exceptions of users' code as records: whatever they are, they can be told of."""

from __future__ import annotations

import os
import traceback
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType

    from dagy.records import ErrorRecord

_OURS = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_ASYNCIO = os.sep + "asyncio" + os.sep


def error_record(error: BaseException) -> ErrorRecord:
    return {"type": error_type(error), "message": message_of(error), "traceback": traceback_of(error)}


def error_type(error: BaseException) -> str:
    return getattr(error, "dagy_type", None) or type(error).__qualname__


def message_of(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:
        return f"<{type(error).__qualname__}, whose message can't be read>"


def traceback_of(error: BaseException) -> str:
    """As Python prints it, without Dagy's own frames at its beginning."""
    remote: str | None = getattr(error, "dagy_traceback", None)
    if remote is not None:
        return remote
    try:
        return "".join(traceback.format_exception(type(error), error, _users_part(error.__traceback__)))
    except Exception:
        return f"{type(error).__qualname__}: (its traceback can't be printed)\n"


def _users_part(tb: TracebackType | None) -> TracebackType | None:
    own = tb
    while own is not None and _is_machinery(own.tb_frame.f_code.co_filename):
        own = own.tb_next
    return own


def _is_machinery(filename: str) -> bool:
    return filename.startswith(_OURS) or _ASYNCIO in filename

"""Ids of runs: UUIDs of version 7, so that they sort by time, and a local run may keep its id on the platform."""

from __future__ import annotations

import os
from time import time_ns


def new_run_id() -> str:
    """48 bits of milliseconds and 74 random ones (RFC 9562; `uuid.uuid7` comes with Python 3.14)."""
    milliseconds = time_ns() // 1_000_000
    value = (milliseconds << 80) | int.from_bytes(os.urandom(10))
    value = value & ~(0xF << 76) | (0x7 << 76)
    value = value & ~(0x3 << 62) | (0x2 << 62)
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"

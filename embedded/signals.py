"""Ctrl-C and SIGTERM: the first asks for a clean stop, the second for a quick one."""

from __future__ import annotations

import os
import signal

from embedded.processes import die_with_parent


class Stopped(Exception):
    """A person or the system asked us to stop."""


class StopSignals:
    """Counts SIGINT, SIGTERM and SIGHUP from its creation on."""

    def __init__(self) -> None:
        self._count = 0
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self._count_one)
        # make itself may be killed; a shell that put us into the background may well end without us.
        if "MAKELEVEL" in os.environ:
            die_with_parent(signal.SIGTERM)

    @property
    def asked(self) -> bool:
        return self._count > 0

    def check(self) -> None:
        """Raise Stopped where a stop was asked for."""
        if self.asked:
            raise Stopped

    def patience(self, seconds: float) -> float:
        """How long a stop may take: `seconds`, or almost nothing once somebody asked twice."""
        return 0.2 if self._count > 1 else seconds

    def _count_one(self, _number: int, _frame: object) -> None:
        self._count += 1

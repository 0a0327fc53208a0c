"""Processes that end without `atexit`: children of multiprocessing (`os._exit`, SIGTERM), and Celery's."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable


def before_child_ends(end: Callable[[], None]) -> None:
    """Call `end` before this process ends, where it is such a child. Asked for at the first trace of each process, for
    multiprocessing forgets what was registered before its children begin. Imports nothing."""
    util = sys.modules.get("multiprocessing.util")
    process = sys.modules.get("multiprocessing.process")
    if util is not None and process is not None and process.parent_process() is not None:
        util.Finalize(None, end, exitpriority=0)
        _before_sigterm(end)
    signals = sys.modules.get("celery.signals")
    if signals is not None:
        signals.worker_process_shutdown.connect(lambda **_: end(), weak=False, dispatch_uid="dagy.capture")


def _before_sigterm(end: Callable[[], None]) -> None:
    """`Pool.terminate()`, which `with Pool()` ends in, and `Process.terminate()` send it; finalizers don't see it."""

    def ended(*_: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        end()
        os.kill(os.getpid(), signal.SIGTERM)

    of_main_thread = threading.current_thread() is threading.main_thread()
    if of_main_thread and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, ended)

"""The demo's warehouse: what takes too long, what hangs, what nobody can keep, and what waits for itself."""

import logging
import threading
import time
from typing import Any

from dagy import RunContext, flow, task

log = logging.getLogger("warehouse")


@task
def count_pallets() -> int:
    return 1_204


@task(timeout_seconds=0.5)
def export(pallets: int) -> None:
    for done in range(0, pallets, 100):
        log.info("%d of %d pallets are exported", done, pallets)
        if RunContext.current().wait(0.2):
            return


@flow(version="7")
def warehouse_export() -> None:
    """Ends in a TaskTimeoutError."""
    export(count_pallets())


@task
def train() -> object:
    return threading.Lock()


@flow(version="2")
def demand_model() -> None:
    """Ends in an ArtifactSerializationError."""
    train()


@task
def reserve() -> None: ...


@task
def confirm() -> None: ...


@flow(version="3")
def stock_booking() -> None:
    """Ends in a DependencyCycleError."""
    first: Any = reserve()
    first.depends_on(confirm(wait_for=[first]))


@task
def take_lock(what: str) -> None:
    log.info("waiting for the lock of %s", what)
    time.sleep(86_400)


@flow(version="0.9")
def nightly_backup(what: str = "warehouse") -> None:
    """Hangs, until somebody cancels it."""
    take_lock(what)

"""Alerts while workers, beats and servers die: nothing is lost, nothing is told twice.

`DAGY_FAULTS=20`, and `make test-long`, kill as often as README says, else each kind is killed once.
"""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import cycle, islice
from typing import Any

import pytest

from embedded.inbox.receiver import Receiver
from tests.browser.stack import PEOPLE, wait_until
from tests.console import PASSWORD
from tests.faults.place import Place
from tests.runs.support import Caller
from tests.timing import LONG

KILLS = int(os.environ.get("DAGY_FAULTS") or (20 if LONG else 5))


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        yield server


def _faults(place: Place) -> dict[str, Callable[[], None]]:
    def restart(server: Any) -> None:
        server.kill()
        time.sleep(1)
        server.start()

    return {
        "worker": lambda: place.stack.kill("worker"),
        "outside": lambda: place.stack.kill("outside"),
        "beat": lambda: place.stack.kill("jobs"),
        "redis": lambda: restart(place.redis),
        "postgres": lambda: restart(place.postgres),
    }


def _told(receiver: Receiver) -> list[tuple[str, str, str]]:
    """Key, event and rule of each message that was taken."""
    bodies = [(got.headers["webhook-id"], got.json["data"]) for got in receiver.got if got.status == 204]
    return [(key, told["event"], told["title"]) for key, told in bodies]


@pytest.mark.slow("four kinds of processes are killed and come back")
def test_what_fires_while_workers_beats_and_servers_are_killed_is_told_once_and_so_is_its_end(
    place: Place, receiver: Receiver
) -> None:
    alice = Caller(place.stack.url, PEOPLE["alice"], PASSWORD)
    config = {"url": f"{receiver.url}/hook"}
    channel = alice.call("/notifications/channels", {"name": "Hook", "channel_type": "webhook", "config": config})
    names = [f"Fault{number}" for number in range(KILLS)]
    for name in names:
        rule = {"name": name, "measure": "exception_count", "query": f"type:{name}", "window_seconds": 60}
        condition = {"condition": {"op": "above", "value": 0}, "channel_ids": [channel["id"]]}
        alice.call("/notifications/rules", rule | condition)
    keys: dict[str, str] = {}

    def delete_what_was_told() -> None:
        """So that its alert ends at the next check, and not with its window."""
        for _, event, name in _told(receiver):
            if event == "triggered" and name in keys:
                place.stack.bucket.delete(keys[name])
                place.stack.execute("DELETE FROM trace WHERE key = %s", keys.pop(name))

    for name, fault in zip(names, islice(cycle(_faults(place).values()), KILLS), strict=True):
        keys[name] = place.stack.bucket.put(exception_type=name)
        # From before it is found to after it is told; what was told before may end meanwhile.
        time.sleep(random.uniform(0.5, 3))
        delete_what_was_told()
        time.sleep(random.uniform(0, 3))
        fault()
        place.supervise()
    wanted = {(event, name) for event in ("triggered", "resolved") for name in names}

    def all_are_told() -> bool:
        place.supervise()
        delete_what_was_told()
        return {(event, title) for _, event, title in _told(receiver)} >= wanted

    wait_until(all_are_told, seconds=240, what="a message of each, that it fires and that it is over")
    # One alert of each rule, and one message of each step.
    told = _told(receiver)
    assert Counter((event, title) for _, event, title in {*told}) == Counter(wanted)
    assert len(told) == len({key for key, _, _ in told})

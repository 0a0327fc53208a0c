"""A server that hangs holds some threads for a moment, and then none."""

import threading
import time

import pytest

from dagy_console.core import breaker
from dagy_console.core.breaker import FAILURES, Breaker, Refused


class NoAnswer(Exception):
    pass


@pytest.fixture
def guard(monkeypatch):
    monkeypatch.setattr(breaker, "REST_SECONDS", 0.2)
    return Breaker(most=2, no_answer=(NoAnswer,))


def fail(guard, times=1):
    for _ in range(times):
        with pytest.raises(NoAnswer), guard.turn():
            raise NoAnswer


def test_no_more_than_some_are_inside_at_once(guard):
    leave = threading.Event()

    def stay():
        with guard.turn():
            leave.wait(5)

    threads = [threading.Thread(target=stay) for _ in range(2)]
    for thread in threads:
        thread.start()
    time.sleep(0.1)
    with pytest.raises(Refused) as refused, guard.turn():
        pass
    assert refused.value.full
    leave.set()
    for thread in threads:
        thread.join()
    with guard.turn():
        pass


def test_after_failures_nobody_asks_and_then_one_and_then_all(guard):
    fail(guard, FAILURES)
    with pytest.raises(Refused) as refused:
        guard.check()
    assert not refused.value.full
    time.sleep(0.25)
    with guard.turn(), pytest.raises(Refused):
        guard.check()
    with guard.turn(), guard.turn():
        pass


def test_a_failed_try_makes_the_rest_longer(guard):
    fail(guard, FAILURES)
    time.sleep(0.25)
    fail(guard)
    with pytest.raises(Refused) as refused:
        guard.check()
    assert refused.value.seconds > 0.25


def test_an_answer_that_says_no_is_an_answer(guard):
    for _ in range(5):
        with pytest.raises(ValueError), guard.turn():
            raise ValueError("no such key")
    guard.check()

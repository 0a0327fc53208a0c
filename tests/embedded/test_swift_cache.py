"""The cache in Swift's proxy answers as memcached would."""

from __future__ import annotations

from embedded.swift_cache import LARGEST, Cache


def test_an_entry_is_gone_after_its_time() -> None:
    now = [1000.0]
    cache = Cache(now=lambda: now[0])
    cache.set("short", {"a": 1}, time=10)
    cache.set("long", {"a": 2})
    assert cache.get("short") == {"a": 1}
    now[0] += 11
    assert cache.get_multi(["short", "long"], "server") == [None, {"a": 2}]


def test_a_counter_never_falls_below_zero() -> None:
    cache = Cache()
    assert cache.incr("n", 3) == 3
    assert cache.decr("n", 5) == 0


def test_a_value_that_is_changed_after_it_was_stored_stays_as_stored() -> None:
    cache = Cache()
    value = {"a": [1]}
    cache.set("key", value)
    value["a"].append(2)
    assert cache.get("key") == {"a": [1]}


def test_the_oldest_entries_go_where_there_are_too_many() -> None:
    cache = Cache()
    for number in range(LARGEST + 1):
        cache.set(str(number), number)
    assert cache.get("0") is None
    assert cache.get(str(LARGEST)) == LARGEST

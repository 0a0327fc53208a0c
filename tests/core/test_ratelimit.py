"""The API's rate limit: fair to each caller, cheap for who is refused, and no obstacle where Redis is down."""

import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

import pytest
from django.test import Client

from dagy_console.core.ratelimit import Limiter


@pytest.fixture
def small(settings):
    """4 at once, 60 a minute: one a second."""
    settings.RATE_LIMIT_BURST, settings.RATE_LIMIT_PER_MINUTE = 4, 60


@contextmanager
def forwarding(port, target):
    """What comes to `port` goes to the real Redis at `target`."""

    def pump(source, sink):
        while data := source.recv(65536):
            sink.sendall(data)

    def serve():
        connection, _ = server.accept()
        with connection, socket.create_connection((target.hostname, target.port)) as redis:
            threading.Thread(target=pump, args=(redis, connection), daemon=True).start()
            with suppress(OSError):
                pump(connection, redis)

    with socket.create_server(("127.0.0.1", port)) as server:
        threading.Thread(target=serve, daemon=True).start()
        yield


def statuses(client, times, path="/me", **headers):
    return [client.get(path, headers=headers).status_code for _ in range(times)]


def test_the_contracts_limit_is_120_a_minute_and_200_at_once(client, db, settings):
    answer = client.get("/me")
    assert (answer["X-RateLimit-Limit"], answer["X-RateLimit-Remaining"]) == ("120", "199")
    limiter, started = Limiter(settings.REDIS_URL), time.monotonic()
    allowed = sum(limiter.take(network="203.0.113.7").allowed for _ in range(400))
    assert 200 <= allowed <= 200 + 2 * (time.monotonic() - started) + 1


def test_who_asks_too_much_is_told_how_long_to_wait_and_then_served(api, alice, small):
    client = api(alice)
    for _ in range(6):
        answer = client.get("/me")
    assert answer.status_code == 429
    assert answer["Content-Type"] == "application/problem+json"
    assert (answer["Retry-After"], answer["X-RateLimit-Remaining"]) == ("1", "0")
    assert "Try again in 1 s" in answer.json()["detail"]
    assert answer["X-Request-Id"] == answer.json()["request_id"]
    time.sleep(int(answer["Retry-After"]))
    assert client.get("/me").status_code == 200


def test_each_token_has_a_bucket_of_its_own(api, alice, bob, small):
    first, second = api(alice), api(bob)
    assert first.get("/me").status_code == second.get("/me").status_code == 200
    assert statuses(first, 6)[-1] == 429
    assert second.get("/me").status_code == 200


def test_a_token_that_proved_good_is_not_held_up_by_strangers_at_its_address(api, client, alice, small):
    staff = api(alice)
    assert staff.get("/me").status_code == 200
    assert statuses(client, 6)[-1] == 429
    assert staff.get("/me").status_code == 200


def test_invented_tokens_share_the_bucket_of_their_address(client, db, small):
    answers = [
        client.get("/me", headers={"Authorization": f"Bearer dagy_at_invented{number}"}).status_code
        for number in range(8)
    ]
    assert answers[:4] == [401] * 4 and answers[-1] == 429


def test_another_address_is_another_caller(client, db, small, settings):
    settings.TRUSTED_PROXIES = 1
    assert statuses(client, 6, **{"X-Forwarded-For": "203.0.113.7"})[-1] == 429
    assert statuses(client, 1, **{"X-Forwarded-For": "203.0.113.8"}) == [401]


def test_one_callers_ipv6_addresses_are_one_caller(client, db, small, settings):
    settings.TRUSTED_PROXIES = 1
    answers = [statuses(client, 1, **{"X-Forwarded-For": f"2001:db8::{number}"}) for number in range(6)]
    assert answers[-1] == [429]
    assert statuses(client, 1, **{"X-Forwarded-For": "2001:db8:0:1::1"}) == [401]


def test_refusals_count_and_beyond_the_limit_the_database_is_not_asked(api, vera, small, django_assert_num_queries):
    client = api(vera)
    answers = statuses(client, 6, "/audit-logs")
    assert answers[:4] == [403] * 4 and answers[-1] == 429
    with django_assert_num_queries(0):
        assert client.get("/audit-logs").status_code == 429


@pytest.mark.parametrize("path", ["/health/live", "/openapi.json", "/docs"])
def test_what_watches_and_what_explains_is_not_limited(client, db, small, path):
    answers = [client.get(path) for _ in range(8)]
    assert {answer.status_code for answer in answers} == {200}
    assert "X-RateLimit-Limit" not in answers[-1]


ANONYMOUS = ["/health", "/health/live", "/metrics", "/openapi.json", "/docs", "/admin/exceptions/events"]
ANONYMOUS += ["/me", "/console/", "/accounts/login/", "/accounts/password/reset/", "/alerts/forged/", "/nothing"]


@pytest.mark.parametrize("path", ANONYMOUS)
def test_what_a_stranger_may_ask_for_costs_next_to_nothing(client, db, path):
    """Whatever is not limited, and whatever is asked for before anybody is known."""

    def cost():
        began = time.thread_time()
        client.get(path, headers={"Accept-Encoding": "gzip"}, REMOTE_ADDR="1.2.3.4")
        return time.thread_time() - began

    cost()  # templates and the description of the API are built once
    assert min(cost() for _ in range(5)) < 0.01


def test_the_consoles_pages_are_not_limited(browse, alice, small):
    assert set(statuses(browse(alice), 8, "/console/audit/")) == {200}


def test_no_limit_is_a_setting(client, db, small, settings):
    settings.RATE_LIMIT_PER_MINUTE = 0
    assert set(statuses(client, 8)) == {401}


def test_callers_at_once_get_exactly_what_the_bucket_holds(settings):
    settings.RATE_LIMIT_BURST, settings.RATE_LIMIT_PER_MINUTE = 50, 1
    # A limiter each, as processes have them.
    limiters = [Limiter(settings.REDIS_URL) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        verdicts = list(pool.map(lambda n: limiters[n % 8].take(network="203.0.113.7"), range(200)))
    assert sum(verdict.allowed for verdict in verdicts) == 50


def test_a_bucket_takes_no_room_once_it_would_be_full_again(settings, small):
    from dagy_console.core.health import redis_client

    Limiter(settings.REDIS_URL).take(network="203.0.113.7")
    assert 3000 < redis_client().pttl("dagy:rate:network:203.0.113.7") <= 4000


class TestWithoutRedis:
    def test_requests_pass_where_nothing_listens(self, client, db, small, settings):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            settings.REDIS_URL = f"redis://127.0.0.1:{taken.getsockname()[1]}/0"
            assert set(statuses(client, 8)) == {401}

    def test_where_it_hangs_one_request_waits_and_the_others_do_not(self, client, db, small, settings):
        with socket.create_server(("127.0.0.1", 0)) as deaf:
            settings.REDIS_URL = f"redis://127.0.0.1:{deaf.getsockname()[1]}/0"
            client.get("/me")
            started = time.monotonic()
            assert set(statuses(client, 10)) == {401}
            assert time.monotonic() - started < 1

    def test_the_limit_is_back_soon_after_redis_is(self, settings, small):
        with socket.socket() as reserved:
            reserved.bind(("127.0.0.1", 0))
            port = reserved.getsockname()[1]
            url = settings.REDIS_URL.replace(f":{urlsplit(settings.REDIS_URL).port}/", f":{port}/")
            limiter = Limiter(url, pause=0.1)
            assert limiter.take(network="203.0.113.7") is None
        with forwarding(port, urlsplit(settings.REDIS_URL)):
            assert limiter.take(network="203.0.113.7") is None, "the pause is not over"
            time.sleep(0.1)
            assert limiter.take(network="203.0.113.7") is not None


def test_a_token_by_another_scheme_is_a_stranger(small, client, db):
    assert statuses(client, 6, Authorization="Basic YTpi")[-1] == 429
    assert Client().get("/me").status_code == 429

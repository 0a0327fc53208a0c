"""A receiver that hangs holds up nobody but itself."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from celery.signals import task_revoked
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from dagy_console.alerts import checking, dispatch, outbox
from dagy_console.alerts.channels import services
from dagy_console.alerts.models import Alert, Attempt, Channel, Delivery
from dagy_console.alerts.tasks import check as check_rules
from dagy_console.core import destinations, outbound
from dagy_console.core.health import make_report
from dagy_console.core.models import Destination
from dagy_console.runs.tasks import execute as execute_run
from tests.alerts.conftest import MINUTE, a_message, due_now, send, traces
from tests.console import create_person
from tests.traces import NOW


@contextmanager
def server(speak: Callable[[socket.socket], None]) -> Iterator[str]:
    """The address of a server that speaks like this to whoever connects."""

    def answer(client: socket.socket) -> None:
        with client:
            try:
                speak(client)
            except OSError:
                return

    def serve() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=answer, args=(client,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        listener.shutdown(socket.SHUT_RDWR)


def hang(client: socket.socket) -> None:
    time.sleep(60)


def drip(client: socket.socket) -> None:
    """A header that never ends, a byte at a time."""
    client.sendall(b"HTTP/1.1 200 OK\r\nX: ")
    while True:
        client.sendall(b"x")
        time.sleep(0.05)


def drip_a_body(client: socket.socket) -> None:
    client.sendall(b"HTTP/1.1 500 No\r\nContent-Length: 1000000000\r\n\r\n")
    while True:
        client.sendall(b"x")
        time.sleep(0.05)


def reset(client: socket.socket) -> None:
    client.recv(10)


def flood(client: socket.socket) -> None:
    client.sendall(b"HTTP/1.1 204 OK\r\n\r\n" if client.recv(65536) else b"")
    client.sendall(b"x" * 10_000_000)


@pytest.mark.parametrize("speak", [hang, drip])
def test_however_slowly_bytes_come_all_is_over_at_the_deadline(speak: Any, receiver: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(outbound, "SECONDS", 0.4)
    with server(speak) as url:
        began = time.monotonic()
        with pytest.raises(outbound.NoAnswer, match="no answer in time"):
            outbound.post(url, b"{}", {})
        assert time.monotonic() - began < 1


def test_an_answer_that_never_ends_is_an_answer(receiver: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(outbound, "SECONDS", 0.4)
    with server(drip_a_body) as url:
        assert outbound.post(url, b"{}", {}).status == 500
    with server(flood) as url:
        assert outbound.post(url, b"{}", {}).status == 204


@pytest.fixture
def channel_of(committed: None, receiver: Any, as_actor: Any) -> Callable[..., Channel]:
    """Makes a channel that leads to an address, for all threads to see."""
    actor = as_actor(create_person("alice@dagy.example", super_admin=True))

    def make(name: str, url: str) -> Channel:
        return services.create_channel(actor=actor, org_id="", name=name, channel_type="webhook", config={"url": url})

    return make


@contextmanager
def workers(count: int) -> Iterator[None]:
    """Threads that deliver what is due, as those of the worker of `outside` do."""
    ended = threading.Event()

    def work() -> None:
        try:
            while not ended.is_set():
                dispatch.deliver_due()
                time.sleep(0.02)
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    yield
    ended.set()
    for thread in threads:
        thread.join()


@pytest.mark.parametrize("speak", [hang, drip, reset])
def test_a_receiver_that_fails_holds_up_no_other_and_its_messages_wait_with_it(
    speak: Any, channel_of: Any, receiver: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr(outbound, "SECONDS", 0.5)
    with server(speak) as url:
        bad, good = channel_of("Bad", url), channel_of("Good", receiver.url)
        for number in range(40):
            outbox.post(bad, a_message(f"alert:{number}"), key=f"bad{number}")
        with workers(4):
            time.sleep(0.3)
            outbox.post(good, a_message(), key="good")
            deadline = time.monotonic() + 2
            while not receiver.got:
                assert time.monotonic() < deadline, "the other channel's message waited"
                time.sleep(0.02)
            while not destinations.resting():
                assert time.monotonic() < deadline + 3, "its breaker never opened"
                time.sleep(0.02)
            time.sleep(0.3)
    assert destinations.resting() == {str(bad.pk)}
    assert 3 <= Attempt.objects.filter(delivery__channel=bad).count() <= 4
    assert Delivery.objects.filter(channel=bad, status="waiting", attempts=0).count() >= 36


def test_a_channel_that_answers_again_is_sent_one_message_and_then_all(channel: Any, receiver: Any) -> None:
    made = channel("webhook")
    receiver.order(503, times=3)
    for number in range(6):
        outbox.post(made, a_message(f"alert:{number}"), key=f"k{number}")
    assert dispatch.deliver_due() == 0 and len(receiver.got) == 3
    assert 8 < (Destination.objects.get().rests_until - timezone.now()).total_seconds() <= 10
    assert dispatch.deliver_due() == 0 and len(receiver.got) == 3
    Destination.objects.update(rests_until=timezone.now())
    assert dispatch.deliver_due() == 3 and not Destination.objects.exists()
    due_now()
    assert dispatch.deliver_due() == 3
    assert not Delivery.objects.exclude(status="sent").exists()


def test_a_test_is_sent_at_once_and_another_address_begins_anew(
    channel: Any, receiver: Any, browse: Any, alice: Any, as_actor: Any
) -> None:
    made, page = channel("webhook"), browse(alice)
    address = f"/console/alerts/channels/{made.pk}/"
    assert "Paused after several failures" not in page.get(address).content.decode()
    for number in range(4):
        outbox.post(made, a_message(f"alert:{number}"), key=f"k{number}")
    receiver.order(503, times=4)
    dispatch.deliver_due()
    assert "Paused after several failures" in page.get(address).content.decode()
    page.post(f"{address}test/")
    assert dispatch.deliver_due() == 0 and len(receiver.got) == 4
    assert destinations.rests_until(made.destination)
    services.change_channel(actor=as_actor(alice), channel_id=made.pk, config={"url": f"{receiver.url}/new"})
    due_now()
    dispatch.deliver_due()
    assert receiver.got[-1].path == "/new" and not Destination.objects.exists()


def test_what_a_receiver_asks_for_is_waited_for(channel: Any, receiver: Any) -> None:
    made = channel("webhook")
    receiver.order(429, headers={"Retry-After": "120"}, times=3)
    for number in range(4):
        outbox.post(made, a_message(f"alert:{number}"), key=f"k{number}")
    dispatch.deliver_due()
    assert 110 < (Destination.objects.get().rests_until - timezone.now()).total_seconds() <= 120


def test_what_a_worker_that_died_had_in_hand_is_sent_by_another_under_the_same_key(channel: Any, receiver: Any) -> None:
    delivery = outbox.post(channel("webhook"), a_message(), key="k1")
    assert dispatch._claim(dispatch.due())
    assert dispatch.deliver_due() == 0, "it is another's for as long as its lease holds"
    Delivery.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    assert dispatch.deliver_due() == 1
    delivery.refresh_from_db()
    assert delivery.status == "sent" and receiver.got[0].headers["webhook-id"] == "k1"


def test_one_organization_has_few_messages_under_way(channel: Any, bob: Any, receiver: Any) -> None:
    for name in range(6):
        outbox.post(channel("webhook", org_id="org_blue", name=f"{name}"), a_message(f"alert:{name}"), key=str(name))
    other = channel("webhook", name="The platform's")
    claimed = [dispatch._claim(dispatch.due()) for _ in range(6)]
    assert [bool(one) for one in claimed] == [True] * 4 + [False] * 2
    assert send(other, key="k").status == "sent"


def test_who_sends_too_many_tests_is_told_to_wait(channel: Any, api: Any, alice: Any, receiver: Any) -> None:
    made, client = channel("webhook"), api(alice)
    answers = [client.post(f"/notifications/channels/{made.pk}/test") for _ in range(services.MOST_TESTS + 1)]
    assert {answer.status_code for answer in answers[:-1]} == {202}
    assert answers[-1].status_code == 429 and answers[-1]["Retry-After"] == "60"
    assert Delivery.objects.count() == services.MOST_TESTS


def test_health_tells_how_long_the_oldest_message_waits_whoever_stopped_checking(
    channel: Any, client: Any, receiver: Any
) -> None:
    make_report()
    outbox.post(channel("webhook"), a_message(), key="k1")
    assert part(client, "alerts") == ("healthy", "no message is late")
    Delivery.objects.update(created_at=timezone.now() - timedelta(minutes=7))
    status, message = part(client, "alerts")
    assert status == "degraded" and message.startswith("the oldest message waits for 7 min")


def test_a_period_that_nobody_came_to_is_counted_and_shown(client: Any, db: None) -> None:
    make_report()
    task_revoked.send(sender=execute_run, expired=True)
    assert part(client, "periodic tasks")[0] == "healthy", "a run that is handed over anew has no period"
    for _ in range(3):
        task_revoked.send(sender=check_rules, expired=True)
    status, message = part(client, "periodic tasks")
    assert status == "degraded" and "alerts.check 3 times" in message
    assert 'dagy_periodic_tasks_missed{task="alerts.check"}' in client.get("/metrics").content.decode()


def part(client: Any, name: str) -> tuple[str, str]:
    parts = {part["name"]: part for part in client.get("/health").json()["components"]}
    return parts[name]["status"], parts[name]["message"]


def test_alerts_of_a_round_are_written_at_once(rule: Any, clock: Any) -> None:
    rule(group_by=["type"], value=0.0)
    traces(300, NOW - MINUTE)
    with CaptureQueriesContext(
        connection,
    ) as asked:
        checking.check_due()
    assert Alert.objects.count() > 1
    writes = [query for query in asked.captured_queries if 'INTO "alerts_alert"' in query["sql"]]
    assert len(writes) == 1

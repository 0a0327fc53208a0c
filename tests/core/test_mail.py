"""Mails wait in the outbox until a real SMTP server has taken them."""

import socket
import threading
import time
from datetime import timedelta
from email import message_from_bytes
from email.policy import default
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller
from django.core.exceptions import ImproperlyConfigured
from django.db import transaction
from django.utils import timezone

from dagy_console.accounts.models import Organization, Suspension
from dagy_console.core import environment, mail, smtp
from dagy_console.core.health import Status
from dagy_console.core.models import Destination, OutgoingMail
from dagy_console.core.outside import send_mail, send_mails
from dagy_console.core.tasks import remove_old_mails
from tests.console import at_the_same_moment


class Server:
    """An SMTP server; `answer` is what it says to the text of a mail, and one address it does not know."""

    def __init__(self):
        self.answer, self.refused, self.taken = "250 OK", "", []

    async def handle_RCPT(self, server, session, envelope, address, rcpt_options):  # noqa: N802 - the library's name
        if address == self.refused:
            return "550 no such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):  # noqa: N802 - the library's name
        if self.answer.startswith("250"):
            self.taken.append((envelope.rcpt_tos, message_from_bytes(envelope.content, policy=default)))
        return self.answer


@pytest.fixture
def server(settings):
    server = Server()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    controller = Controller(server, hostname="127.0.0.1", port=port)
    controller.start()
    settings.MAIL = _smtp(port)
    yield server
    controller.stop()


def _smtp(port):
    return {"backend": "django.core.mail.backends.smtp.EmailBackend", "host": "127.0.0.1", "port": port, "timeout": 2}


def post(to=("bob@blue.example",), subject="Hello", text="A link: https://dagy.example/secret"):
    mail.post(to=to, subject=subject, text=text)
    return OutgoingMail.objects.latest("id")


def due_now():
    Destination.objects.all().delete()
    OutgoingMail.objects.update(next_at=timezone.now())


def test_a_mail_is_sent_once_and_its_text_is_not_kept(server, db):
    row = post()
    send_mail(row.pk), send_mail(row.pk), send_mails()
    ((to, message),) = server.taken
    assert to == ["bob@blue.example"] and message["Subject"] == "Hello"
    assert "https://dagy.example/secret" in message.get_content()
    row.refresh_from_db()
    assert row.sent_at and row.text == ""


@pytest.mark.slow("waits until the broker is given up")
def test_a_mail_waits_for_beat_where_the_broker_is_down(server, committed, no_broker):
    with transaction.atomic():
        row = post()
    assert OutgoingMail.objects.get(pk=row.pk).next_at
    send_mails()
    assert len(server.taken) == 1


def test_several_addresses_get_a_mail_each_and_one_that_is_refused_takes_no_other_with_it(server, db):
    post(to=["bob@blue.example", "two at@once, and@more", "vera@blue.example", "a@b.example\nBcc: c@d.example"])
    send_mails(), send_mails()
    assert sorted(to for to, _ in server.taken) == [["bob@blue.example"], ["vera@blue.example"]]
    assert not any("vera" in message.as_string() for to, message in server.taken if to == ["bob@blue.example"])
    assert OutgoingMail.objects.filter(sent_at=None, next_at=None, text="").count() == 2


def test_a_mail_that_is_sent_again_can_be_told_to_be_the_same(server, db):
    row = post()
    send_mails()
    OutgoingMail.objects.filter(pk=row.pk).update(sent_at=None, next_at=timezone.now())
    send_mails()
    (_, first), (_, second) = server.taken
    assert first["Message-ID"] == second["Message-ID"] and first["Auto-Submitted"] == "auto-generated"


def test_a_wrong_password_of_the_server_loses_no_mail(server, settings, db):
    settings.MAIL |= {"username": "console", "password": "wrong"}
    row, other = post(), post()
    send_mails()
    row.refresh_from_db(), other.refresh_from_db()
    assert row.next_at and row.text and row.attempts == 1
    assert other.attempts == 0, "a server that is not to be had is asked once a round"


@pytest.mark.parametrize(
    "url", ["smtps://mail.example?tls=1", "smtp://mail.example?tls=true", "smtp://mail.example?TLS=1"]
)
def test_an_option_that_would_do_something_else_than_it_says_is_refused_at_start(monkeypatch, url):
    monkeypatch.setenv("DAGY_EMAIL_URL", url)
    with pytest.raises(ImproperlyConfigured, match="no other option"):
        environment.mail("DAGY_EMAIL_URL")


def test_a_text_is_no_html(db):
    suspension = Suspension(organization=Organization(id="org_x", name="Bob's <Shop> & Co"), note='"Call" us')
    mail.send(to=["x@x.example"], subject="x", template="organization_suspended", context={"suspension": suspension})
    text = OutgoingMail.objects.get().text
    assert "Bob's <Shop> & Co" in text and '"Call" us' in text


def test_it_goes_with_its_transaction_or_not_at_all(db):
    with pytest.raises(RuntimeError), transaction.atomic():
        post()
        raise RuntimeError
    assert not OutgoingMail.objects.exists()


def test_a_subject_that_strangers_wrote_adds_no_header(server, db):
    send_mail(post(subject="Hello\r\nBcc: all@world.example\r\n\r\nBuy").pk)
    ((to, message),) = server.taken
    assert to == ["bob@blue.example"] and message["Bcc"] is None
    assert message["Subject"] == "Hello Bcc: all@world.example Buy"


def test_a_server_that_is_busy_is_tried_again_later_each_time_later(server, db):
    server.answer = "451 busy"
    row = post()
    pauses = []
    for _ in range(4):
        due_now()
        send_mails()
        row.refresh_from_db()
        pauses.append((row.next_at - timezone.now()).total_seconds())
    assert pauses == sorted(pauses) and 60 < pauses[-1] < 100 and "451" in row.problem
    server.answer = "250 OK"
    send_mails()
    assert not server.taken, "not before its time"
    due_now()
    send_mails()
    assert len(server.taken) == 1


@pytest.mark.parametrize("answer", ["550 no such person", "554 refused"])
def test_a_refusal_for_good_is_given_up_at_once_and_health_says_so(server, db, answer):
    server.answer = answer
    row = post()
    send_mails()
    row.refresh_from_db()
    assert row.next_at is None and row.sent_at is None and answer[:3] in row.problem
    assert mail.check() == (Status.DEGRADED, "0 mails late, 1 given up in the last day")


def test_no_server_at_all_is_tried_twelve_times(settings, db):
    settings.MAIL = _smtp(9)
    row = post()
    for _ in range(smtp.MOST_ATTEMPTS):
        row.refresh_from_db()
        assert row.next_at
        due_now()
        send_mails()
    row.refresh_from_db()
    assert row.next_at is None and row.attempts == smtp.MOST_ATTEMPTS


def test_two_workers_send_each_mail_once(committed, server):
    for number in range(6):
        post(subject=str(number))
    at_the_same_moment(send_mails, send_mails)
    send_mails()
    assert sorted(message["Subject"] for _, message in server.taken) == list("012345")


def test_without_a_server_nothing_is_kept_and_health_says_so(settings, db):
    settings.MAIL = None
    mail.send(to=["bob@blue.example"], subject="x", template="none", context={})
    assert not OutgoingMail.objects.exists()
    assert mail.check()[0] is Status.HEALTHY and "DAGY_EMAIL_URL" in mail.check()[1]


def test_mails_that_wait_too_long_degrade_health_and_old_ones_go(db):
    row = post()
    OutgoingMail.objects.update(created_at=timezone.now() - timedelta(minutes=6))
    assert mail.check() == (Status.DEGRADED, "1 mail late, 0 given up in the last day")
    OutgoingMail.objects.filter(pk=row.pk).update(created_at=timezone.now() - timedelta(days=31))
    remove_old_mails()
    assert not OutgoingMail.objects.exists()


def test_files_take_mails_where_there_is_no_server(settings, db, tmp_path, monkeypatch):
    monkeypatch.setenv("DAGY_EMAIL_URL", f"file://{tmp_path}/mail")
    settings.MAIL = environment.mail("DAGY_EMAIL_URL")
    post()
    send_mails()
    (file,) = Path(tmp_path, "mail").iterdir()
    assert "Subject: Hello" in file.read_text()


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("smtp://u%40x:p@mail.example:587?tls=1", {"username": "u@x", "port": 587, "use_tls": True, "use_ssl": False}),
        ("smtps://mail.example", {"port": 465, "use_ssl": True, "timeout": 10}),
        ("smtp://localhost", {"port": 25, "use_tls": False}),
    ],
)
def test_the_address_of_the_server_is_one_variable(monkeypatch, url, told):
    monkeypatch.setenv("DAGY_EMAIL_URL", url)
    assert told.items() <= environment.mail("DAGY_EMAIL_URL").items()


@pytest.mark.parametrize(
    "url", ["mail.example", "http://mail.example", "smtp://", "smtp://h:port", "file://x", "file:///"]
)
def test_an_address_that_is_none_is_said_at_start(monkeypatch, url):
    monkeypatch.setenv("DAGY_EMAIL_URL", url)
    with pytest.raises(ImproperlyConfigured, match="smtp://user:password@host"):
        environment.mail("DAGY_EMAIL_URL")


STEPS = ["220 ready", "250 hello", "250 sender", "250 recipient", "354 go on"]


@pytest.mark.parametrize("answered", range(len(STEPS) + 1))
def test_a_server_that_hangs_at_any_step_is_given_up_and_left_alone(settings, db, answered):
    """After so many answers it says nothing more."""

    def speak(client):
        client.sendall(f"{STEPS[0]}\r\n".encode() if answered else b"")
        for step in STEPS[1:answered]:
            client.recv(1000)
            client.sendall(f"{step}\r\n".encode())
        time.sleep(5)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=lambda: speak(listener.accept()[0]), daemon=True).start()
        settings.MAIL = _smtp(listener.getsockname()[1]) | {"timeout": 0.2}
        row, other = post(), post()
        began = time.monotonic()
        send_mails()
        assert time.monotonic() - began < 2
    row.refresh_from_db()
    other.refresh_from_db()
    assert (row.attempts, other.attempts) == (1, 0) and row.next_at > timezone.now()
    assert row.lease_until is None and Destination.objects.get().failures == 1


def test_after_three_failures_in_a_row_the_server_rests(settings, db):
    with socket.create_server(("127.0.0.1", 0)) as free:
        settings.MAIL = _smtp(free.getsockname()[1])
    for _ in range(5):
        post()
    for _ in range(5):
        send_mails()
    assert OutgoingMail.objects.filter(attempts=1).count() == 3
    assert Destination.objects.get().rests_until > timezone.now()

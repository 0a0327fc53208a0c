"""Addresses that people give never lead inside: the one that was checked is the one connected to."""

import socket
from typing import Any

import pytest

from dagy_console.core import outbound
from embedded.inbox.receiver import Receiver


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.0.0.7", "172.16.3.4", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1",
     "192.88.99.1", "255.255.255.255", "240.0.0.1", "::1", "::", "fe80::1", "fc00::1", "fec0::1", "ff02::1",
     "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::7f00:1", "2002:7f00:1::",
     "2002:a00:1::1", "2001:0:7f00:1::", "2001:db8::1"],
)  # fmt: skip
def test_what_is_inside_or_no_single_host_is_not_public(address: str) -> None:
    assert not outbound.is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946"])
def test_hosts_of_the_internet_are_public(address: str) -> None:
    assert outbound.is_public(address)


@pytest.mark.parametrize(
    "url",
    ["http://hooks.example.com/", "https://hooks.example.com:8080/", "https://bob:pw@hooks.example.com/", "ftp://x.example/",
     "https://", "hooks.example.com", "https://hooks.example.com:99999/", "https://[::1/", "https://x.example/\n", "",
     "https://x.example/" + "y" * 2_000, "file:///etc/passwd", "gopher://x.example/"],
)  # fmt: skip
def test_an_address_that_is_none_or_unsafe_says_what_to_write(url: str) -> None:
    with pytest.raises(outbound.Forbidden):
        outbound.check_url(url)


@pytest.mark.parametrize(
    "url",
    ["https://127.0.0.1/", "https://2130706433/", "https://0x7f000001/", "https://0177.0.0.1/", "https://127.1/",
     "https://[::ffff:127.0.0.1]/", "https://localhost/", "https://[::1]/", "https://169.254.169.254/latest/meta-data"],
)  # fmt: skip
def test_an_address_inside_is_never_connected_to_however_it_is_written(url: str) -> None:
    with pytest.raises((outbound.Forbidden, outbound.NoAnswer)) as refused:
        outbound.post(url, b"{}", {})
    assert "refused" not in str(refused.value)


def _resolving(monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> list[str]:
    """The names' addresses, one answer after the other, as a hostile name server gives them."""
    asked: list[str] = []
    left = list(answers)

    known = socket.getaddrinfo

    def getaddrinfo(host: str, port: int, *more: Any, **named: Any) -> list[Any]:
        if not host.endswith(".example"):
            return known(host, port, *more, **named)
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in left.pop(0)]

    monkeypatch.setattr(outbound.socket, "getaddrinfo", getaddrinfo)
    return asked


def test_one_private_address_among_public_ones_is_enough_to_refuse(monkeypatch: pytest.MonkeyPatch) -> None:
    _resolving(monkeypatch, ["93.184.216.34", "10.0.0.1"])
    with pytest.raises(outbound.Forbidden, match=r"leads to 10\.0\.0\.1"):
        outbound.post("https://rebind.example/", b"{}", {})


def test_a_name_that_leads_elsewhere_the_second_time_is_asked_once(
    monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    with Receiver() as receiver:
        port = int(receiver.url.rsplit(":", 1)[1])
        settings.CHANNEL_ALLOWED_HOSTS = ["rebind.example"]
        asked = _resolving(monkeypatch, ["127.0.0.1"], ["10.0.0.1"])
        answer = outbound.post(f"http://rebind.example:{port}/hook", b"{}", {"Content-Type": "application/json"})
    assert (answer.status, asked) == (204, ["rebind.example"])
    assert receiver.got[0].headers["host"] == f"rebind.example:{port}"


def test_a_redirect_is_told_and_not_followed(settings: Any) -> None:
    settings.CHANNEL_ALLOWED_HOSTS = ["127.0.0.0/8"]
    with Receiver() as receiver:
        receiver.order(302, headers={"Location": "http://169.254.169.254/"})
        assert outbound.post(f"{receiver.url}/x", b"{}", {}).status == 302
        assert len(receiver.got) == 1


def test_of_an_answer_only_the_beginning_is_read(settings: Any) -> None:
    settings.CHANNEL_ALLOWED_HOSTS = ["127.0.0.1"]
    with Receiver() as receiver:
        receiver.order(200, headers={"Content-Length": "10"})
        assert outbound.post(receiver.url, b"{}", {}).text == "as ordered"


def test_no_certificate_no_answer(settings: Any) -> None:
    settings.CHANNEL_ALLOWED_HOSTS = ["127.0.0.1"]
    with Receiver() as receiver, pytest.raises(outbound.NoAnswer, match="certificate or the encryption"):
        outbound.post(receiver.url.replace("http:", "https:"), b"{}", {})

"""The inbox of `make run` shows what the console sends, by every kind of channel, and misbehaves on order."""

import signal
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dagy_console.alerts.kinds import KINDS
from dagy_console.alerts.messages import Event
from embedded.ports import is_open, kept_ports
from tests.alerts.conftest import CONFIGS, a_message

ROOT = Path(__file__).parents[2]


@pytest.fixture
def inbox(tmp_path: Path, settings: Any) -> Iterator[str]:
    """Its address; the console's settings lead there."""
    ports = kept_ports(tmp_path / "ports.json", {"inbox": "the inbox", "smtp": "its mail server"})
    command = [sys.executable, "-m", "embedded.inbox", str(ports["inbox"]), str(ports["smtp"])]
    with subprocess.Popen(command, cwd=ROOT) as process:
        deadline = time.monotonic() + 20
        while not all(map(is_open, ports.values())):
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.05)
        settings.CHANNEL_ALLOWED_HOSTS = ["127.0.0.1"]
        url = settings.SLACK_URL = settings.PAGERDUTY_URL = f"http://127.0.0.1:{ports['inbox']}"
        settings.MAIL = {**settings.MAIL, "host": "127.0.0.1", "port": ports["smtp"]}
        yield url
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0


def page(url: str) -> str:
    with urllib.request.urlopen(url, timeout=5) as answer:
        text: str = answer.read().decode()
        return text


def send(kind: str, url: str, **more: Any) -> Any:
    config = KINDS[kind].checked(CONFIGS[kind](url))
    return KINDS[kind].send(config, a_message(title=f"By {kind} <b>", text="It's <i>broken</i>", **more), key=kind)


def test_each_kind_of_message_is_shown_with_what_it_says(inbox: str) -> None:
    assert "Nothing yet" in page(inbox)
    for kind in CONFIGS:
        assert send(kind, inbox).taken
    send("pagerduty", inbox, event=Event.RESOLVED)
    shown = page(inbox)
    for kind in CONFIGS:
        assert f"By {kind} &lt;b&gt;" in shown
    assert shown.count("It&#x27;s &lt;i&gt;broken&lt;/i&gt;") >= len(CONFIGS) and "<i>" not in shown
    assert "https://console.example.com/console/" in shown and "resolve of an event from before" in shown
    assert shown.index("resolve of") < shown.index("By slack")
    assert "prefers-color-scheme" in page(f"{inbox}/inbox.css")


def test_it_answers_what_it_was_asked_to(inbox: str) -> None:
    form = urllib.parse.urlencode({"status": 500, "times": 2}).encode()
    assert "Ordered for the next 2" in page(urllib.request.Request(f"{inbox}/orders", form))  # type: ignore[arg-type]
    assert [send("webhook", inbox).status for _ in range(3)] == [500, 500, 204]
    assert "answered 500" in page(inbox)


def test_what_nobody_can_read_is_shown_as_it_came(inbox: str) -> None:
    urllib.request.urlopen(urllib.request.Request(f"{inbox}/hook", b"<script>"), timeout=5)
    assert "Not to be read" in page(inbox) and "&lt;script&gt;" in page(inbox)

"""What a hanging, a slow and a resetting receiver do to everything else, on a console that runs.

    make run                                                                         # in one terminal
    .local/venv/bin/python benchmarks/receivers.py [--messages 200] [--seconds 60]

Messages wait for three channels: one whose receiver accepts and says nothing, one that answers after 9 s, one that cuts
the connection. Meanwhile a message a second goes to a fourth, that answers. Measured are its messages, the age of the
last check of rules and of the last pass of the index, and what /health says. The channels are taken away again.
Prints JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import threading
import time
import urllib.request
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from embedded.inbox.receiver import Receiver  # noqa: E402


def serve(speak: Callable[[socket.socket], None]) -> str:
    """The address of a server that speaks like this to whoever connects, until the program ends."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)

    def accept() -> None:
        while True:
            client, _ = listener.accept()
            threading.Thread(target=speak, args=(client,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return f"http://127.0.0.1:{listener.getsockname()[1]}/"


def hang(client: socket.socket) -> None:
    time.sleep(600)
    client.close()


def be_slow(client: socket.socket) -> None:
    client.recv(65536)
    time.sleep(9)
    client.sendall(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
    client.close()


def reset(client: socket.socket) -> None:
    client.close()


def use_running_console() -> None:
    """Take over the environment of `make run`, and set Django up."""
    command = [sys.executable, "-m", "embedded", "env", "run"]
    for line in subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines():
        name, _, value = line.removeprefix("export ").partition("=")
        os.environ[name] = value.strip("'\"")
    os.environ["DJANGO_SETTINGS_MODULE"] = "dagy_console.settings"
    import django

    django.setup()


def measure(url: str, messages: int, seconds: int) -> dict[str, Any]:
    from django.conf import settings
    from django.utils import timezone

    from dagy_console.accounts.credentials import actor_for
    from dagy_console.accounts.models import User
    from dagy_console.alerts import outbox
    from dagy_console.alerts.channels import services
    from dagy_console.alerts.heartbeat import load
    from dagy_console.alerts.messages import Event, Message
    from dagy_console.alerts.models import Attempt, Severity
    from dagy_console.core.actors import Origin
    from dagy_console.exceptions.models import IndexState

    settings.CHANNEL_ALLOWED_HOSTS = ["127.0.0.1"]
    actor = actor_for(User.objects.get(email="alice@dagy.example"), Origin())

    def message(subject: str) -> Message:
        at = timezone.now().isoformat()
        return Message(
            event=Event.TRIGGERED, severity=Severity.INFO, subject=subject, title="x", text="x", at=at, link=""
        )

    def make(name: str, address: str) -> Any:
        name = f"{name} {uuid.uuid4().hex[:6]}"
        return services.create_channel(
            actor=actor, org_id="", name=name, channel_type="webhook", config={"url": address}
        )

    with Receiver() as receiver:
        bad = [make(speak.__name__, serve(speak)) for speak in (hang, be_slow, reset)]
        good = make("good", f"{receiver.url}/hook")
        try:
            for channel in bad:
                for number in range(messages):
                    outbox.post(channel, message(f"{channel.pk}:{number}"), key=str(uuid.uuid4()))
            posted: dict[str, float] = {}
            ages: dict[str, list[float]] = {"rules": [], "index": []}
            said: list[str] = []
            for number in range(seconds):
                key = str(uuid.uuid4())
                posted[key] = time.time()
                outbox.post(good, message(f"good:{number}"), key=key)
                time.sleep(1)
                now = timezone.now()
                ages["rules"].append((now - load().ended_at).total_seconds())
                ages["index"].append((now - IndexState.objects.get(pk=1).checked_at).total_seconds())
                said.append(health(url))
            time.sleep(8)
            got = {one.headers["webhook-id"]: one.at.timestamp() for one in receiver.got}
            waited = sorted(got.get(key, float("inf")) - at for key, at in posted.items())
            tried = Attempt.objects.filter(delivery__channel__in=bad).count()
        finally:
            for channel in (*bad, good):
                services.delete_channel(actor=actor, channel_id=channel.pk)
    return {
        "messages waiting for the three": 3 * messages,
        "tries of them": tried,
        "other channel: messages lost": sum(one == float("inf") for one in waited),
        "other channel: seconds p50, p95, max": [
            round(value, 2) for value in (statistics.median(waited), waited[int(len(waited) * 0.95) - 1], waited[-1])
        ],
        "rules: oldest check, seconds": round(max(ages["rules"]), 1),
        "index: oldest pass, seconds": round(max(ages["index"]), 1),
        "health: said of alerts at the end": said[-1],
    }


def health(url: str) -> str:
    with urllib.request.urlopen(f"{url}/health", timeout=20) as answer:
        parts = json.load(answer)["components"]
    return next(f"{part['status']}: {part['message']}" for part in parts if part["name"] == "alerts")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--messages", type=int, default=200)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--run", type=Path, default=ROOT / ".local" / "run.json")
    given = parser.parse_args()
    address = json.loads(given.run.read_text())["url"]
    use_running_console()
    print(json.dumps(measure(address, given.messages, given.seconds), indent=2))

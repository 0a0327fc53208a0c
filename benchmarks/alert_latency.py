"""How long it takes from a trace in the bucket to the message about it, on a console that runs.

    make run                                              # in one terminal
    .local/venv/bin/python benchmarks/alert_latency.py [--traces 40] [--run .local/run.json]

Writes traces to the bucket as any other program does, at random moments, each of a type of its own that one rule
watches; a receiver on loopback notes when the signed message about it arrives. Rules and channel are taken away again.
With `--events` and what `manage.py events_token` prints, the console is told of each object as S3 and MinIO do where
their events are set up; without, it finds them by itself. Prints JSON.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
import urllib.request
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import boto3

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from dagy import capture  # noqa: E402
from embedded.inbox.receiver import Receiver  # noqa: E402

LONGEST = 60


class Console:
    """Its API, as the super admin of the demo."""

    def __init__(self, described: dict[str, Any]) -> None:
        self.url, self._token = described["url"], ""
        user = described["users"]["super_admin"]
        self._token = self.call("POST", "/auth/login", user)["access_token"]

    def call(self, method: str, path: str, body: Any = None) -> Any:
        headers = {"Content-Type": "application/json"}
        headers |= {"Authorization": f"Bearer {self._token}"} if self._token else {}
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read() or b"null")


class _Written:
    """Writes into the bucket, and tells the console of it where it has a token."""

    def __init__(self, s3: dict[str, Any], url: str, token: str) -> None:
        self.bucket, self.url, self.token = s3["traces_bucket"], url, token
        self.client = boto3.client(
            "s3",
            endpoint_url=s3["endpoint_url"],
            aws_access_key_id=s3["access_key_id"],
            aws_secret_access_key=s3["secret_access_key"],
            region_name=s3["region"],
        )

    def write(self, kind: str) -> None:
        key, body = _trace(kind)
        self.client.put_object(Bucket=self.bucket, Key=key, Body=body, ContentType="application/json")
        if not self.token:
            return
        told = {
            "eventName": "ObjectCreated:Put",
            "s3": {"bucket": {"name": self.bucket}, "object": {"key": quote(key)}},
        }
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        request = urllib.request.Request(self.url, json.dumps({"Records": [told]}).encode(), headers)
        urllib.request.urlopen(request, timeout=60).close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--traces", type=int, default=40)
    parser.add_argument("--run", type=Path, default=ROOT / ".local" / "run.json")
    parser.add_argument("--events", default="", help="the token of POST /admin/exceptions/events")
    options = parser.parse_args()
    described = json.loads(options.run.read_text())
    console, name = Console(described), f"Latency{uuid.uuid4().hex[:8]}"
    with Receiver() as receiver:
        channel = console.call(
            "POST",
            "/notifications/channels",
            {"name": name, "channel_type": "webhook", "config": {"url": f"{receiver.url}/hook"}},
        )
        rules = [_rule(console, channel["id"], f"{name}{number}") for number in range(options.traces)]
        try:
            written = _Written(described["s3"], f"{described['url']}/admin/exceptions/events", options.events)
            seconds = [_seconds(written, receiver, f"{name}{number}") for number in range(options.traces)]
        finally:
            for rule in rules:
                console.call("DELETE", f"/notifications/rules/{rule}")
            console.call("DELETE", f"/notifications/channels/{channel['id']}")
    ordered = sorted(seconds)
    told = {"p50_s": ordered[len(ordered) // 2], "p95_s": ordered[len(ordered) * 95 // 100], "most_s": ordered[-1]}
    more = {"traces": options.traces, "events": bool(options.events)}
    print(json.dumps({name: round(value, 2) for name, value in told.items()} | more))


def _rule(console: Console, channel: str, kind: str) -> str:
    rule = {
        "name": kind,
        "measure": "exception_count",
        "query": f"type:{kind}",
        "window_seconds": 300,
        "condition": {"op": "above", "value": 0},
        "channel_ids": [channel],
    }
    made: str = console.call("POST", "/notifications/rules", rule)["id"]
    return made


def _seconds(written: _Written, receiver: Receiver, kind: str) -> float:
    time.sleep(random.uniform(0.5, 6))
    began = time.monotonic()
    written.write(kind)
    while time.monotonic() - began < LONGEST:
        if any(kind in got.json["data"]["title"] for got in list(receiver.got)):
            taken = time.monotonic() - began
            print(f"{taken:.2f} s", flush=True)
            return taken
        time.sleep(0.02)
    raise SystemExit(f"no message about {kind} within {LONGEST} s")


def _trace(kind: str) -> tuple[str, bytes]:
    when, request_id = datetime.now(UTC), f"req-{uuid.uuid4().hex[:12]}"
    body = {
        "timestamp": when.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "request_id": request_id,
        "function_name": "bench",
        "exception_type": kind,
        "exception_message": "for the time that it takes",
        "traceback": f"Traceback (most recent call last):\n{kind}: for the time that it takes\n",
        "http_method": "GET",
        "http_path": "/bench",
        "org_id": "org_blue",
    }
    key = capture.s3_key(org_id="org_blue", timestamp=when, request_id=request_id)
    return key, json.dumps(body).encode()


if __name__ == "__main__":
    main()

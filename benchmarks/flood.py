"""What a flood of 1,000 requests costs at the doors that refuse: time, answers, and rows in the audit log.

    .local/venv/bin/python -m embedded shell -- .local/venv/bin/python benchmarks/flood.py [--requests 1000]

In process, through the whole of Django's stack, from one address. Redis is the real one, so limits are.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from console import machine, open_console, percentile

PASSWORD = "a password that is long enough"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=1_000)
    requests = parser.parse_args().requests
    with open_console(limited=True):
        figures = {name: _flood(call, requests) for name, call in _doors().items()}
        print(json.dumps({"machine": machine(), "requests": requests, "figures": figures}, indent=1))


def _doors() -> dict[str, Callable[[], Any]]:
    from django.test import Client

    from dagy_console.accounts.models import User
    from dagy_console.accounts.services.tokens import create_access_token
    from dagy_console.core.actors import SYSTEM

    user = User(email="viewer@blue.example", name="viewer")
    user.set_password(PASSWORD)
    user.save()
    token, _ = create_access_token(actor=SYSTEM, user=user)
    stranger, member = Client(), Client(headers={"Authorization": f"Bearer {token}"})
    forged = Client(headers={"Authorization": "Bearer dagy_at_" + "x" * 43})

    def sign_in(path: str, **fields: str) -> Callable[[], Any]:
        return lambda: stranger.post(path, fields, content_type="application/json")

    return {
        "sign-in by API, wrong password": sign_in("/auth/login", email=user.email, password="wrong"),
        "sign-in by API, unknown address": sign_in("/auth/login", email="nobody@blue.example", password="wrong"),
        "refused: no token": lambda: stranger.get("/admin/exceptions"),
        "refused: a token that is none": lambda: forged.get("/admin/exceptions"),
        "refused: a permission that is missing": lambda: member.get("/admin/exceptions"),
    }


def _flood(call: Callable[[], Any], requests: int) -> dict[str, Any]:
    from dagy_console.audit.models import AuditEntry
    from dagy_console.core.health import redis_client

    client = redis_client()
    for key in client.scan_iter("dagy:*", count=1_000):
        client.delete(key)
    before, answers, times = AuditEntry.objects.count(), Counter[int](), []
    began = time.perf_counter()
    for _ in range(requests):
        started = time.perf_counter()
        answers[call().status_code] += 1
        times.append((time.perf_counter() - started) * 1000)
    return {
        "seconds": round(time.perf_counter() - began, 2),
        "p50_ms": round(percentile(times, 50), 2),
        "p95_ms": round(percentile(times, 95), 2),
        "answers": dict(answers),
        "audit_rows": AuditEntry.objects.count() - before,
    }


if __name__ == "__main__":
    main()

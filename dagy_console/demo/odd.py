"""What other writers leave in the bucket, from data/odd.toml."""

import gzip
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from dagy_console.core.times import to_rfc3339
from dagy_console.demo.data import load
from dagy_console.demo.objects import DemoObject, trace_object
from dagy_console.demo.tracebacks import expand


def odd_objects(now: datetime) -> list[DemoObject]:
    """One of each kind, the newest a few minutes before `now`."""
    data = load("odd")
    return [
        _made(data["usual"], odd, now - timedelta(minutes=9 + 47 * index, seconds=index))
        for index, odd in enumerate(data["odd"])
    ]


def _made(usual: Mapping[str, Any], odd: Mapping[str, Any], at: datetime) -> DemoObject:
    fields = odd.get("fields", {})
    body = {"timestamp": to_rfc3339(at), "request_id": odd["request_id"]} | dict(usual) | fields
    made = trace_object(body | {"traceback": expand(body["traceback"])}, at=at)
    made = replace(made, key=odd.get("key", made.key))
    match odd.get("stored", "trace"):
        case "bare":
            return replace(made, metadata={})
        case "cut":
            return replace(made, body=made.body[: len(made.body) * 2 // 3])
        case "gzip":
            return replace(made, body=gzip.compress(made.body, mtime=0))
        case "list":
            return replace(made, body=b"[%b]" % made.body)
        case "sparse":
            return replace(made, body=json.dumps(fields).encode())
        case _:
            return made

"""What other writers leave in the bucket: older versions, other languages, broken programs."""

import gzip
import json
from datetime import datetime, timedelta
from typing import Any

from dagy.capture.keys import s3_key
from dagy_console.demo.objects import DemoObject, trace_object, written
from dagy_console.demo.text import Call, raised

_HTML = "<script>alert('xss')</script><img src=x onerror=alert(1)>"


def odd_objects(now: datetime) -> list[DemoObject]:
    """One of each kind, the newest a few minutes before `now`."""
    makers = (_cut_off, _gzipped, _list, _bare, _misplaced, _hostile, _sparse, _foreign, _long)
    return [maker(now - timedelta(minutes=9 + 47 * index, seconds=index)) for index, maker in enumerate(makers)]


def _body(at: datetime, request_id: str, **fields: Any) -> dict[str, Any]:
    return {
        "timestamp": written(at),
        "request_id": request_id,
        "function_name": "legacy-importer",
        "exception_type": "RuntimeError",
        "exception_message": "upload interrupted",
        "traceback": raised(
            [Call("dagy/legacy/importer.py", 210, "main", "upload(batch)")], "RuntimeError: upload interrupted\n"
        ),
        "http_method": "POST",
        "http_path": "/imports",
        "org_id": "org_initech",
        "event": {"headers": {"user-agent": "legacy-importer/0.9"}},
    } | fields


def _plain(at: datetime, request_id: str, body: bytes, org_id: str = "org_initech") -> DemoObject:
    metadata = {"request-id": request_id, "timestamp": written(at), "org-id": org_id, "exception-type": "RuntimeError"}
    return DemoObject(s3_key(org_id=org_id, timestamp=at, request_id=request_id), body, metadata, at)


def _cut_off(at: datetime) -> DemoObject:
    whole = json.dumps(_body(at, "legacy-cut-off")).encode()
    return _plain(at, "legacy-cut-off", whole[: len(whole) * 2 // 3])


def _gzipped(at: datetime) -> DemoObject:
    packed = gzip.compress(json.dumps(_body(at, "legacy-gzip")).encode(), mtime=0)
    return _plain(at, "legacy-gzip", packed, "org_umbrella")


def _list(at: datetime) -> DemoObject:
    rows = [_body(at, "batch-1"), _body(at, "batch-2", exception_message="batch 2 of 2")]
    return _plain(at, "legacy-batch", json.dumps(rows).encode(), "org_globex")


def _bare(at: datetime) -> DemoObject:
    return trace_object(_body(at, "copied-by-hand", exception_message="copied by hand"), at=at, with_metadata=False)


def _misplaced(at: datetime) -> DemoObject:
    made = trace_object(_body(at, "trace-000117", org_id="org_hooli"), at=at)
    return DemoObject("exceptions/legacy/2025-export/trace-000117.json", made.body, made.metadata, at)


def _hostile(at: datetime) -> DemoObject:
    fields = ("function_name", "exception_type", "exception_message", "traceback", "http_method", "http_path")
    hostile: dict[str, Any] = {name: f"{_HTML} {name}" for name in fields}
    hostile["event"] = {"headers": {_HTML: _HTML}, "query": {"q": _HTML}, "body": f"</pre>{_HTML}"}
    return trace_object(_body(at, "pentest-0042", org_id="org_stark", **hostile), at=at)


def _sparse(at: datetime) -> DemoObject:
    body = {"exception_type": "MemoryError", "runtime": "rust-agent 0.3.1", "rss_bytes": 8_589_934_592, "org_id": None}
    return _plain(at, "agent-oom-1", json.dumps(body).encode(), "org_wayne")


def _foreign(at: datetime) -> DemoObject:
    fields = {
        "function_name": "abrechnung-λ",
        "exception_type": "ÜberweisungFehlgeschlagen",
        "exception_message": "Überweisung an Łukasz Żółć (株式会社) fehlgeschlagen: Limit 1 000 € überschritten",
        "traceback": "ÜberweisungFehlgeschlagen: Limit 1 000 € überschritten\n"
        "    at überweise (/srv/abrechnung/src/überweisung.ts:118:11)\n"
        "    at process.processTicksAndRejections (node:internal/process/task_queues:105:5)\n",
        "http_path": "/überweisungen/жёлтый",
        "org_id": "org_tyrell",
    }
    return trace_object(_body(at, "node-7f3a", **fields), at=at)


def _long(at: datetime) -> DemoObject:
    """A traceback of about 300 kB: two functions that call each other, so that CPython folds nothing."""
    calls = [
        Call(
            "dagy/flows/templates.py",
            140,
            "expand",
            "return resolve(template.parent, depth + 1)",
            "resolve(template.parent, depth + 1)",
        ),
        Call(
            "dagy/flows/templates.py",
            152,
            "resolve",
            "return expand(lookup(name), depth)",
            "expand(lookup(name), depth)",
        ),
    ] * 1_080
    fields = {
        "function_name": "dagy-worker-prod",
        "exception_type": "RecursionError",
        "exception_message": "maximum recursion depth exceeded",
        "traceback": raised(calls, "RecursionError: maximum recursion depth exceeded\n"),
        "org_id": "org_acme",
    }
    return trace_object(_body(at, "templates-loop", **fields), at=at)

"""An object of the bucket, before it is written."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from dagy.capture.keys import NO_ORG, s3_key

_HEADERS = {
    "exception-type": "exception_type",
    "http-method": "http_method",
    "http-path": "http_path",
    "request-id": "request_id",
    "timestamp": "timestamp",
}


@dataclass(frozen=True, slots=True)
class DemoObject:
    """`metadata` is not encoded yet; `at` is the time of the exception, aware, UTC."""

    key: str
    body: bytes
    metadata: Mapping[str, str]
    at: datetime


def trace_object(body: Mapping[str, Any], *, at: datetime, with_metadata: bool = True) -> DemoObject:
    """A trace as the contract has it: key and metadata follow from the body."""
    metadata = {header: str(body.get(name) or "") for header, name in _HEADERS.items()}
    metadata["org-id"] = body["org_id"] or NO_ORG
    return DemoObject(
        key=s3_key(org_id=body["org_id"], timestamp=at, request_id=body["request_id"]),
        body=json.dumps(body, ensure_ascii=False).encode(),
        metadata=metadata if with_metadata else {},
        at=at,
    )


def written(at: datetime) -> str:
    """A time as traces hold it."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")

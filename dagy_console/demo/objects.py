"""An object of the bucket, before it is written."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dagy.capture.keys import NO_ORG, s3_key

_HEADERS = ("exception_type", "http_method", "http_path", "request_id", "timestamp")


@dataclass(frozen=True, slots=True)
class DemoObject:
    """`metadata` is not encoded yet; `at` is the time of the exception, aware, UTC."""

    key: str
    body: bytes
    metadata: Mapping[str, str]
    at: datetime


def trace_object(body: Mapping[str, Any], *, at: datetime) -> DemoObject:
    """A trace as the contract has it: key and metadata follow from the body."""
    metadata = {name.replace("_", "-"): str(body.get(name) or "") for name in _HEADERS}
    return DemoObject(
        key=s3_key(org_id=body["org_id"], timestamp=at, request_id=body["request_id"]),
        body=json.dumps(body, ensure_ascii=False).encode(),
        metadata=metadata | {"org-id": body["org_id"] or NO_ORG},
        at=at,
    )

"""Secrets never reach the audit log: they are masked by name and by pattern, as in traces. Evidence stays exact."""

import json
from collections.abc import Mapping
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder

from dagy.capture.scrub import FILTERED, Scrubber

# What was done to which objects: S3 keys hold long numbers, and a masked key proves nothing.
EVIDENCE = frozenset({"keys", "in_index"})
_scrubber = Scrubber()


def masked(snapshot: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The snapshot as plain JSON values, secrets replaced."""
    if snapshot is None:
        return None
    plain = json.loads(json.dumps(snapshot, cls=DjangoJSONEncoder))
    return {name: _field(name, value) for name, value in plain.items()}


def _field(name: str, value: Any) -> Any:
    if name in EVIDENCE:
        return value
    return FILTERED if value and _scrubber.is_secret_name(name) else _masked(value)


def _masked(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _field(name, item) for name, item in value.items()}
    if isinstance(value, list):
        return [_masked(item) for item in value]
    return _scrubber.text(value, [0]) if isinstance(value, str) else value

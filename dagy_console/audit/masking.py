"""Secrets never reach the audit log: they are masked by name and by pattern, as in traces."""

import json
from collections.abc import Mapping
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder

from dagy.capture.scrub import Scrubber

_scrubber = Scrubber()


def masked(snapshot: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The snapshot as plain JSON values, secrets replaced."""
    if snapshot is None:
        return None
    plain = json.loads(json.dumps(snapshot, cls=DjangoJSONEncoder))
    clean: dict[str, Any] = _scrubber.value(plain, [0])
    return clean

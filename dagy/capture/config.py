"""What `configure()` was told, with the environment's values for what it was not."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from dagy.capture.scrub import Scrubber
from dagy.capture.types import S3Client, StoredTrace

DEFAULT_SPOOL_BYTES = 200 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Config:
    """See `configure()` for what each means."""

    bucket: str | None
    function_name: str
    spool_dir: str | os.PathLike[str] | None
    spool_max_bytes: int
    endpoint_url: str | None
    queue_size: int
    threads: int
    retry_seconds: float
    probe_seconds: float
    exit_timeout: float
    scrubber: Scrubber
    on_stored: Callable[[StoredTrace], None] | None
    client_factory: Callable[[], S3Client] | None
    enabled: bool


def default_function_name() -> str:
    """`DAGY_FUNCTION_NAME`, the Lambda function's name, or the program's."""
    named = os.environ.get("DAGY_FUNCTION_NAME") or os.environ.get("AWS_LAMBDA_FUNCTION_NAME")
    return named or Path(sys.argv[0] if sys.argv else "").name or "python"

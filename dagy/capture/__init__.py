"""Exceptions become JSON objects in S3, without slowing or breaking what failed.

    from dagy import capture
    capture.configure(bucket="traces")           # or DAGY_TRACES_BUCKET
    try: …
    except Exception: capture.capture_exception()

Adapters: `dagy.capture.django`, `.wsgi`, `.asgi`, `.aws_lambda`. How it stays cheap: see `dagy.capture.snapshot`; how
nothing is lost: see `dagy.capture.writer` and `dagy.capture.journal`.
"""

from dagy.capture.api import capture_exception, configure, flush, shutdown, stats
from dagy.capture.keys import (
    ParsedKey,
    decode_metadata,
    encode_metadata,
    parse_key,
    s3_key,
)
from dagy.capture.types import S3Client, Stats, StoredTrace

__all__ = [
    "ParsedKey",
    "S3Client",
    "Stats",
    "StoredTrace",
    "capture_exception",
    "configure",
    "decode_metadata",
    "encode_metadata",
    "flush",
    "parse_key",
    "s3_key",
    "shutdown",
    "stats",
]

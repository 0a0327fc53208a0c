"""Putting a trace into S3. boto3 is imported here, when the first trace is stored, and nowhere else."""

from __future__ import annotations

# boto3 imports this, which fails once the interpreter has begun to end: just when a short script's only trace is sent.
import concurrent.futures.thread  # noqa: F401
import os
import threading
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import Enum
from typing import Any, cast

from dagy.capture.keys import encode_metadata
from dagy.capture.types import S3Client

CONNECT_TIMEOUT_SECONDS = 2
READ_TIMEOUT_SECONDS = 5
_LONGEST_IMPORT_SECONDS = 5.0
# Some servers allow 256 bytes a value only (Swift's default), where S3 has a limit for the whole.
_SHORT_VALUE = 256
_NEVER = {
    "EntityTooLarge",
    "KeyTooLongError",
    "MaxMessageLengthExceeded",
    "MetadataTooLarge",
}
# Answers about the bucket, the credentials, the clock or the connection, and not about this object.
_DOWN_STATUSES = {401, 402, 404, 405, 407, 408, 409, 425, 429}
_DOWN_CODES = {
    "AccountProblem",
    "AllAccessDisabled",
    "AuthorizationHeaderMalformed",
    "ExpiredToken",
    "IllegalLocationConstraintException",
    "IncompleteBody",
    "InvalidAccessKeyId",
    "InvalidBucketName",
    "InvalidBucketState",
    "InvalidToken",
    "NotSignedUp",
    "QuotaExceeded",
    "RequestExpired",
    "RequestTimeTooSkewed",
    "RequestTimeout",
    "SlowDown",
    "Throttling",
    "ThrottlingException",
    "TokenRefreshRequired",
    "XMinioAdminBucketQuotaExceeded",
}


class _Forks:
    """A fork waits until boto3 is imported: a child with half of it could never import the rest."""

    def __init__(self) -> None:
        self.making = threading.RLock()
        self._is_held = False

    def before(self) -> None:
        self._is_held = self.making.acquire(timeout=_LONGEST_IMPORT_SECONDS)

    def in_parent(self) -> None:
        if self._is_held:
            self.making.release()

    def in_child(self) -> None:
        self.making = threading.RLock()


_forks = _Forks()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_forks.before, after_in_parent=_forks.in_parent, after_in_child=_forks.in_child)


class Refusal(Enum):
    """What an error says about other traces."""

    DOWN = "none would be taken now"
    REFUSED = "this one is refused, for what it is or as any other"
    NEVER = "this one will never be taken"


def make_client(*, endpoint_url: str | None, threads: int) -> S3Client:
    """A boto3 client with time-outs, without retries of its own, for `threads` threads.

    Credentials, region and (without `endpoint_url`) the endpoint come from the usual AWS variables and files.
    """
    with _forks.making:
        # The first connection would import this codec, which a fork must not cut in two either.
        "".encode("idna")
        return _make_client(endpoint_url, threads)


def _make_client(endpoint_url: str | None, threads: int) -> S3Client:
    import boto3
    from botocore.config import Config

    own_server = bool(endpoint_url or os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL"))
    config = Config(
        connect_timeout=CONNECT_TIMEOUT_SECONDS,
        read_timeout=READ_TIMEOUT_SECONDS,
        retries={"total_max_attempts": 1},
        max_pool_connections=threads + 2,
        # Buckets as host names need DNS that S3 servers of one's own seldom have; nor do all know trailing checksums.
        s3={"addressing_style": "path" if own_server else "auto"},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    # A session of its own: boto3's default session is not safe to share between threads.
    session = boto3.session.Session()
    return cast(S3Client, session.client("s3", endpoint_url=endpoint_url, config=config))


def put(client: S3Client, *, bucket: str, key: str, metadata: dict[str, str], data: bytes) -> tuple[str, datetime]:
    """Store one object once; the ETag without quotes, and when S3 stored it. Raises what boto3 raises."""
    encoded = encode_metadata(metadata)
    try:
        answer = _put(client, bucket, key, encoded, data)
    except Exception as error:
        if error_status(error) != 400 or all(len(value) <= _SHORT_VALUE for value in encoded.values()):
            raise
        answer = _put(client, bucket, key, _shortened(metadata), data)
    return str(answer.get("ETag", "")).strip('"'), _stored_at(answer)


def error_code(error: BaseException) -> str:
    """S3's error code (`AccessDenied`, …), or the class of an error that came from the network."""
    response = getattr(error, "response", None)
    if isinstance(response, dict):
        return str(response.get("Error", {}).get("Code", "")) or type(error).__name__
    return type(error).__name__


def error_status(error: BaseException) -> int | None:
    """The HTTP status S3 answered with, None where it did not answer."""
    response = getattr(error, "response", None)
    if not isinstance(response, dict):
        return None
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    return status if isinstance(status, int) else None


def refusal(error: BaseException) -> Refusal:
    """Whether an error of a PUT is about this trace or about all. In doubt it is about all: nothing is set aside."""
    code, status = error_code(error), error_status(error)
    if code in _NEVER or status == 413:
        return Refusal.NEVER
    if status is None:
        # Not sent: boto3 found fault with a value, that of this trace or the bucket's name.
        unsent = isinstance(error, TypeError | ValueError) or code == "ParamValidationError"
        return Refusal.REFUSED if unsent else Refusal.DOWN
    if not 400 <= status < 500 or status in _DOWN_STATUSES or code in _DOWN_CODES or code.startswith("KMS."):
        return Refusal.DOWN
    return Refusal.REFUSED


def wished_pause(error: BaseException) -> float:
    """`Retry-After` in seconds, 0 where S3 did not say."""
    response = getattr(error, "response", None)
    headers = response.get("ResponseMetadata", {}).get("HTTPHeaders", {}) if isinstance(response, dict) else {}
    text = str(headers.get("retry-after", ""))
    return float(text) if text.isascii() and text.isdigit() else 0.0


def describe(error: BaseException) -> str:
    """One line for logs and `/health`: the code and S3's own words."""
    text = " ".join(str(error).split())[:300]
    return f"{error_code(error)}: {text}"


def _put(client: S3Client, bucket: str, key: str, metadata: dict[str, str], data: bytes) -> dict[str, Any]:
    answer: dict[str, Any] = client.put_object(
        Bucket=bucket,
        Key=key,
        Body=data,
        ContentType="application/json",
        Metadata=metadata,
    )
    return answer


def _shortened(metadata: dict[str, str]) -> dict[str, str]:
    short: dict[str, str] = {}
    for name, value in metadata.items():
        short.update(encode_metadata({name: value}, limit=_SHORT_VALUE + len(name) + len("x-amz-meta-")))
    return short


def _stored_at(answer: dict[str, Any]) -> datetime:
    headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    text = headers.get("last-modified") or headers.get("date")
    try:
        return parsedate_to_datetime(text).astimezone(UTC)
    except (TypeError, ValueError):
        return datetime.now(UTC).replace(microsecond=0)

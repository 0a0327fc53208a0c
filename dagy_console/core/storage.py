"""The S3 server. The only module of the console that imports boto3: what S3 refuses becomes an error with a name.

Workers and commands wait for it as long as it takes. A web process calls `hurry()` at its start: its calls are short,
few at once, and none for a while where the server does not answer.
"""

import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from math import ceil
from time import monotonic
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,
    HTTPClientError,
    NoCredentialsError,
    ReadTimeoutError,
)
from django.conf import settings

from dagy_console.core.breaker import Breaker, Refused
from dagy_console.core.errors import NotFound, Unavailable

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client
    from mypy_boto3_s3.type_defs import GetObjectOutputTypeDef

MAX_KEYS_A_DELETE = 1_000
CHUNK = 64 * 1024
_making = threading.Lock()
_web_process = threading.Event()
_NOT_IN_XML = re.compile("[\x00-\x1f\x7f\ufffe\uffff]")
# What an operation needs in an IAM policy, so that a refusal can name it.
_IAM_ACTIONS = {
    "ListObjectsV2": "s3:ListBucket",
    "GetObject": "s3:GetObject",
    "HeadObject": "s3:GetObject",
    "PutObject": "s3:PutObject",
    "DeleteObjects": "s3:DeleteObject",
    "HeadBucket": "s3:ListBucket",
}


class StorageUnavailable(Unavailable):
    title = "The S3 server is not available"


class StorageBusy(StorageUnavailable):
    """It was not asked: it does not answer, or enough threads wait for it."""


class BucketMissing(StorageUnavailable):
    title = "The bucket does not exist"


class StorageDenied(Unavailable):
    title = "The S3 server refuses access"


class ObjectDenied(StorageDenied):
    """This object cannot be read; others may be."""


class ObjectGone(NotFound):
    title = "No longer in storage"


@dataclass(frozen=True, slots=True)
class ListedObject:
    """One line of a bucket listing."""

    key: str
    etag: str
    size: int
    last_modified: datetime


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object, or its first bytes. `size` is that of the whole object; `metadata` is as S3 gave it."""

    key: str
    body: bytes
    size: int
    etag: str
    last_modified: datetime
    metadata: Mapping[str, str]
    content_type: str

    @property
    def truncated(self) -> bool:
        return len(self.body) < self.size


@dataclass(frozen=True, slots=True)
class FailedKey:
    """Why one key could not be deleted."""

    key: str
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class DeleteOutcome:
    """What became of each key: S3 counts a key that is gone as deleted."""

    deleted: list[str] = field(default_factory=list)
    errors: list[FailedKey] = field(default_factory=list)


def hurry() -> None:
    """This process answers people: no call may hold a thread for long, nor all calls together every thread."""
    _web_process.set()


def check_ready() -> None:
    """Raises StorageBusy where a call would be refused now. For what is better not begun then."""
    if _web_process.is_set():
        with _named_errors("", "", ""):
            _breaker(settings.S3_ENDPOINT_URL).check()


@lru_cache(maxsize=8)
def _breaker(endpoint_url: str | None) -> Breaker:
    return Breaker(most=settings.WEB_THREADS // 2, no_answer=(ConnectionError, HTTPClientError))


@lru_cache(maxsize=8)
def client(
    *, connect_timeout: float = 2, read_timeout: float = 5, endpoint_url: str | None = None, attempts: int = 2
) -> "S3Client":
    """A client is safe to share between threads and dear to make; so one is kept for each time-out."""
    # Using a client is thread-safe; making one is not.
    with _making:
        return boto3.client(
            "s3",
            endpoint_url=endpoint_url or settings.S3_ENDPOINT_URL,
            region_name=settings.S3_REGION,
            config=config(connect_timeout=connect_timeout, read_timeout=read_timeout, attempts=attempts),
        )


def config(*, connect_timeout: float, read_timeout: float, attempts: int) -> Config:
    return Config(
        connect_timeout=connect_timeout,
        read_timeout=read_timeout,
        retries={"total_max_attempts": attempts, "mode": "standard"},
        max_pool_connections=64,
        signature_version="s3v4",
        s3={"addressing_style": "path" if settings.S3_ENDPOINT_URL else "auto"},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )


def _client(*, web_seconds: float = 1.2, seconds: float = 5) -> "S3Client":
    """The client that waits so long for an answer, in a web process and elsewhere."""
    if _web_process.is_set():
        return client(connect_timeout=0.5, read_timeout=web_seconds, attempts=1)
    return client(read_timeout=seconds)


def get_object(bucket: str, key: str, *, first_bytes: int | None = None, seconds: float | None = None) -> StoredObject:
    """The object, or at most its `first_bytes`, or as much of it as came within about `seconds`.

    Raises ObjectGone, StorageUnavailable, StorageDenied.
    """
    began = monotonic()
    extra: dict[str, Any] = {"Range": f"bytes=0-{first_bytes - 1}"} if first_bytes else {}
    with asking("GetObject", bucket, key):
        try:
            answer = _client().get_object(Bucket=bucket, Key=key, **extra)
        except ClientError as error:
            # An empty object has no first byte to give.
            if _code(error) not in {"InvalidRange", "416"}:
                raise
            answer = _client().get_object(Bucket=bucket, Key=key)
        body = _read(answer, None if seconds is None else began + seconds)
    size = int(answer["ContentRange"].rsplit("/", 1)[1]) if answer.get("ContentRange") else answer["ContentLength"]
    return StoredObject(
        key=key,
        body=body,
        size=size,
        etag=answer["ETag"].strip('"'),
        last_modified=answer["LastModified"],
        metadata=answer.get("Metadata", {}),
        content_type=answer.get("ContentType", ""),
    )


def _read(answer: "GetObjectOutputTypeDef", until: float | None) -> bytes:
    body = answer["Body"]
    if until is None:
        return body.read()
    data = bytearray()
    try:
        while len(data) < answer["ContentLength"] and (left := until - monotonic()) > 0:
            body.set_socket_timeout(left)
            data += body.read(CHUNK)
    except ReadTimeoutError:
        if not data:
            raise
    finally:
        body.close()
    return bytes(data)


def check_object(bucket: str, key: str) -> int:
    """The object's size in bytes. Raises ObjectGone where it is not there, or what else is wrong."""
    with asking("HeadObject", bucket, key):
        return _client().head_object(Bucket=bucket, Key=key)["ContentLength"]


class Stream:
    """An object's bytes in pieces. Must be closed, as Django does with what it streams."""

    def __init__(self, answer: "GetObjectOutputTypeDef", held: ExitStack) -> None:
        self.size = answer["ContentLength"]
        self._chunks = answer["Body"].iter_chunks(256 * 1024)
        self._held = held

    def __iter__(self) -> Iterator[bytes]:
        with self._held:
            yield from self._chunks

    def close(self) -> None:
        self._held.close()


def stream_object(bucket: str, key: str) -> Stream:
    """The object's bytes; the server counts as being asked until the last of them."""
    with ExitStack() as held:
        held.enter_context(asking("GetObject", bucket, key))
        answer = _client().get_object(Bucket=bucket, Key=key)
        # Between two pieces it may take longer than to answer at all.
        if answer["ContentLength"]:
            answer["Body"].set_socket_timeout(5)
        held.callback(answer["Body"].close)
        return Stream(answer, held.pop_all())


def put_object(bucket: str, key: str, body: bytes, *, metadata: Mapping[str, str], content_type: str) -> str:
    """Write an object; `metadata` must be ASCII already. Answers its ETag, without quotes."""
    with asking("PutObject", bucket, key):
        answer = _client().put_object(
            Bucket=bucket, Key=key, Body=body, Metadata=dict(metadata), ContentType=content_type
        )
    return answer["ETag"].strip('"')


def list_prefixes(bucket: str, prefix: str) -> list[str]:
    """The names right below `prefix` that hold something, each ending in `/`."""
    with asking("ListObjectsV2", bucket, prefix):
        pages = _client().get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix, Delimiter="/")
        return [item["Prefix"] for page in pages for item in page.get("CommonPrefixes", [])]


def list_page(
    bucket: str, prefix: str, *, start_after: str = "", limit: int = 1_000
) -> tuple[list[ListedObject], bool]:
    """Up to `limit` objects in key order after `start_after`, and whether there are more."""
    with asking("ListObjectsV2", bucket, prefix):
        page = _client().list_objects_v2(Bucket=bucket, Prefix=prefix, StartAfter=start_after, MaxKeys=limit)
        # S3 may answer with no object at all and say that there are more.
        while page["IsTruncated"] and not page.get("Contents"):
            token = page["NextContinuationToken"]
            page = _client().list_objects_v2(Bucket=bucket, Prefix=prefix, ContinuationToken=token, MaxKeys=limit)
    objects = [
        ListedObject(item["Key"], item["ETag"].strip('"'), item["Size"], item["LastModified"])
        for item in page.get("Contents", [])
    ]
    return objects, page["IsTruncated"]


def delete_objects(bucket: str, keys: Sequence[str]) -> DeleteOutcome:
    """Delete up to 1,000 keys in one request. Raises StorageUnavailable, StorageDenied where all of it failed."""
    # Such keys cannot be told in XML, and one of them would make S3 refuse the whole request.
    odd = [key for key in keys if _NOT_IN_XML.search(key)]
    if odd:
        left = [key for key in keys if key not in odd]
        plain = delete_objects(bucket, left) if left else DeleteOutcome()
        return DeleteOutcome([*plain.deleted, *(_delete_one(bucket, key) for key in odd)], plain.errors)
    objects = [{"Key": key} for key in keys]
    with asking("DeleteObjects", bucket, ""):
        # A thousand deletions in one request may take a slow server a minute.
        patience = _client(web_seconds=5 if len(keys) <= 50 else 30, seconds=120)
        answer = patience.delete_objects(Bucket=bucket, Delete={"Objects": objects, "Quiet": False})  # type: ignore[typeddict-item]
    errors = [
        FailedKey(
            error.get("Key", ""), error.get("Code", ""), _explained(error.get("Code", ""), error.get("Message", ""))
        )
        for error in answer.get("Errors", [])
    ]
    failed = {error.key for error in errors}
    return DeleteOutcome(deleted=[key for key in keys if key not in failed], errors=errors)


def _delete_one(bucket: str, key: str) -> str:
    with asking("DeleteObjects", bucket, key):
        _client().delete_object(Bucket=bucket, Key=key)
    return key


def presigned_download(bucket: str, key: str, *, filename: str, content_type: str = "application/json") -> str:
    """A link that downloads the object as `filename` (plain ASCII), good for settings.DOWNLOAD_SECONDS."""
    with _named_errors("GetObject", bucket, key):
        return client(endpoint_url=settings.S3_PUBLIC_ENDPOINT_URL).generate_presigned_url(
            "get_object",
            Params={
                "Bucket": bucket,
                "Key": key,
                "ResponseContentDisposition": f'attachment; filename="{filename}"',
                "ResponseContentType": content_type,
            },
            ExpiresIn=settings.DOWNLOAD_SECONDS,
        )


@lru_cache(maxsize=8)
def public_origin(bucket: str) -> str:
    """`https://host` of the bucket's presigned links."""
    try:
        parts = urlsplit(presigned_download(bucket, "any", filename="any"))
    except StorageDenied:
        return ""
    return f"{parts.scheme}://{parts.netloc}"


def check_bucket(bucket: str) -> None:
    """Raises what is wrong with the bucket, if anything."""
    with asking("HeadBucket", bucket, ""):
        client(read_timeout=2, attempts=1).head_bucket(Bucket=bucket)


def make_bucket(bucket: str) -> bool:
    """Make the bucket where it is missing; answers whether it was. Raises StorageUnavailable, StorageDenied."""
    try:
        check_bucket(bucket)
    except BucketMissing:
        # AWS refuses the name of its first region here, and wants that of any other.
        where: Any = {"LocationConstraint": settings.S3_REGION}
        extra = {} if settings.S3_REGION == "us-east-1" else {"CreateBucketConfiguration": where}
        with asking("CreateBucket", bucket, ""):
            _client().create_bucket(Bucket=bucket, **extra)
        return True
    return False


def _explained(code: str, message: str) -> str:
    if code == "AccessDenied":
        return "The S3 server refuses to delete: the console's credentials lack s3:DeleteObject on this bucket."
    return message


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


@contextmanager
def asking(operation: str, bucket: str, key: str) -> Iterator[None]:
    """One call of the server; in a web process only where there is room for it."""
    with ExitStack() as stack:
        stack.enter_context(_named_errors(operation, bucket, key))
        if _web_process.is_set():
            stack.enter_context(_breaker(settings.S3_ENDPOINT_URL).turn())
        yield


@contextmanager
def _named_errors(operation: str, bucket: str, key: str) -> Iterator[None]:
    """What botocore raises, as errors that say what to do."""
    try:
        yield
    except Refused as refused:
        said = "has many calls to answer already" if refused.full else "did not answer a moment ago and is left alone"
        raise StorageBusy(
            f"The S3 server {said}. It was not asked for this; try again shortly.", retry_after=ceil(refused.seconds)
        ) from None
    except NoCredentialsError:
        raise StorageDenied("There are no S3 credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.") from None
    except ClientError as error:
        raise _from_answer(error, operation, bucket, key) from error
    except BotoCoreError as error:
        raise StorageUnavailable(
            f"The S3 server did not answer ({type(error).__name__}). {_advice(operation)}"
        ) from error


def _advice(operation: str) -> str:
    if operation.startswith(("Get", "Head", "List")):
        return "Try again in a moment."
    return "It may have done what it was asked for all the same: look before you try again."


def _from_answer(error: ClientError, operation: str, bucket: str, key: str) -> Exception:
    code = _code(error)
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code == "NoSuchBucket" or (operation == "HeadBucket" and status == 404):
        return BucketMissing(f"The bucket {bucket} does not exist: make it, or correct the setting that names it.")
    if code in {"NoSuchKey", "404", "NotFound"} and key:
        return ObjectGone("This is no longer in storage: it was deleted there. The list follows within seconds.")
    if code in {"InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken"}:
        return StorageDenied(f"The S3 server does not accept the console's credentials ({code}).")
    if status == 403 or code == "AccessDenied":
        action = _IAM_ACTIONS.get(operation, f"s3:{operation}")
        kind = ObjectDenied if operation in {"GetObject", "HeadObject"} else StorageDenied
        return kind(f"The S3 server refuses {operation} on {bucket}: the credentials lack {action}.")
    return StorageUnavailable(f"The S3 server answered {code or status} to {operation}. {_advice(operation)}")

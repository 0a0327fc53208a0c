"""The S3 server. The only module of the console that imports boto3: what S3 refuses becomes an error with a name."""

import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError
from django.conf import settings

from dagy_console.core.errors import NotFound, Unavailable

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

MAX_KEYS_A_DELETE = 1_000
_making = threading.Lock()
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


class BucketUnset(Unavailable):
    title = "Trace storage is not set up"

    def __init__(self) -> None:
        super().__init__("DAGY_TRACES_BUCKET is not set: exceptions are logged and not stored. Set it and restart.")


class StorageUnavailable(Unavailable):
    title = "The S3 server is not available"


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


def traces_bucket() -> str:
    """The bucket of the traces. Raises BucketUnset."""
    if not settings.TRACES_BUCKET:
        raise BucketUnset
    return str(settings.TRACES_BUCKET)


@lru_cache(maxsize=8)
def client(*, read_timeout: float = 5, endpoint_url: str | None = None, attempts: int = 2) -> "S3Client":
    """A client is safe to share between threads and dear to make; so one is kept for each time-out."""
    config = Config(
        connect_timeout=2,
        read_timeout=read_timeout,
        retries={"total_max_attempts": attempts, "mode": "standard"},
        max_pool_connections=64,
        signature_version="s3v4",
        s3={"addressing_style": "path" if settings.S3_ENDPOINT_URL else "auto"},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    # Using a client is thread-safe; making one is not.
    with _making:
        return boto3.client(
            "s3", endpoint_url=endpoint_url or settings.S3_ENDPOINT_URL, region_name=settings.S3_REGION, config=config
        )


def get_object(key: str, *, first_bytes: int | None = None) -> StoredObject:
    """The object, or at most its `first_bytes`. Raises ObjectGone, StorageUnavailable, StorageDenied, BucketUnset."""
    bucket = traces_bucket()
    extra: dict[str, Any] = {"Range": f"bytes=0-{first_bytes - 1}"} if first_bytes else {}
    with _named_errors("GetObject", bucket, key):
        try:
            answer = client().get_object(Bucket=bucket, Key=key, **extra)
        except ClientError as error:
            # An empty object has no first byte to give.
            if _code(error) not in {"InvalidRange", "416"}:
                raise
            answer = client().get_object(Bucket=bucket, Key=key)
        body = answer["Body"].read()
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


def check_object(key: str) -> None:
    """Raises ObjectGone where the object is not there, or what else is wrong."""
    bucket = traces_bucket()
    with _named_errors("HeadObject", bucket, key):
        client().head_object(Bucket=bucket, Key=key)


def stream_object(key: str) -> tuple[Iterator[bytes], int]:
    """The object's bytes in pieces, and how many there are."""
    bucket = traces_bucket()
    with _named_errors("GetObject", bucket, key):
        answer = client().get_object(Bucket=bucket, Key=key)
    return answer["Body"].iter_chunks(256 * 1024), answer["ContentLength"]


def put_object(key: str, body: bytes, *, metadata: Mapping[str, str], content_type: str) -> str:
    """Write an object; `metadata` must be ASCII already. Answers its ETag, without quotes."""
    bucket = traces_bucket()
    with _named_errors("PutObject", bucket, key):
        answer = client().put_object(
            Bucket=bucket, Key=key, Body=body, Metadata=dict(metadata), ContentType=content_type
        )
    return answer["ETag"].strip('"')


def list_prefixes(prefix: str) -> list[str]:
    """The names right below `prefix` that hold something, each ending in `/`."""
    bucket = traces_bucket()
    with _named_errors("ListObjectsV2", bucket, prefix):
        pages = client().get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix, Delimiter="/")
        return [item["Prefix"] for page in pages for item in page.get("CommonPrefixes", [])]


def list_page(prefix: str, *, start_after: str = "", limit: int = 1_000) -> tuple[list[ListedObject], bool]:
    """Up to `limit` objects in key order after `start_after`, and whether there are more."""
    bucket = traces_bucket()
    with _named_errors("ListObjectsV2", bucket, prefix):
        page = client().list_objects_v2(Bucket=bucket, Prefix=prefix, StartAfter=start_after, MaxKeys=limit)
        # S3 may answer with no object at all and say that there are more.
        while page["IsTruncated"] and not page.get("Contents"):
            token = page["NextContinuationToken"]
            page = client().list_objects_v2(Bucket=bucket, Prefix=prefix, ContinuationToken=token, MaxKeys=limit)
    objects = [
        ListedObject(item["Key"], item["ETag"].strip('"'), item["Size"], item["LastModified"])
        for item in page.get("Contents", [])
    ]
    return objects, page["IsTruncated"]


def delete_objects(keys: Sequence[str]) -> DeleteOutcome:
    """Delete up to 1,000 keys in one request. Raises StorageUnavailable, StorageDenied where all of it failed."""
    # Such keys cannot be told in XML, and one of them would make S3 refuse the whole request.
    odd = [key for key in keys if _NOT_IN_XML.search(key)]
    if odd:
        plain = delete_objects([key for key in keys if key not in odd]) if len(odd) < len(keys) else DeleteOutcome()
        return DeleteOutcome([*plain.deleted, *map(_delete_one, odd)], plain.errors)
    bucket = traces_bucket()
    objects = [{"Key": key} for key in keys]
    with _named_errors("DeleteObjects", bucket, ""):
        # A thousand deletions in one request may take a slow server a minute.
        answer = client(read_timeout=120).delete_objects(Bucket=bucket, Delete={"Objects": objects, "Quiet": False})  # type: ignore[typeddict-item]
    errors = [
        FailedKey(
            error.get("Key", ""), error.get("Code", ""), _explained(error.get("Code", ""), error.get("Message", ""))
        )
        for error in answer.get("Errors", [])
    ]
    failed = {error.key for error in errors}
    return DeleteOutcome(deleted=[key for key in keys if key not in failed], errors=errors)


def _delete_one(key: str) -> str:
    bucket = traces_bucket()
    with _named_errors("DeleteObjects", bucket, key):
        client().delete_object(Bucket=bucket, Key=key)
    return key


def presigned_download(key: str, *, filename: str) -> str:
    """A link that downloads the object as `filename` (plain ASCII), good for settings.DOWNLOAD_SECONDS."""
    bucket = traces_bucket()
    with _named_errors("GetObject", bucket, key):
        return client(endpoint_url=settings.S3_PUBLIC_ENDPOINT_URL).generate_presigned_url(
            "get_object",
            Params={
                "Bucket": bucket,
                "Key": key,
                "ResponseContentDisposition": f'attachment; filename="{filename}"',
                "ResponseContentType": "application/json",
            },
            ExpiresIn=settings.DOWNLOAD_SECONDS,
        )


def check_bucket(bucket: str) -> None:
    """Raises what is wrong with the bucket, if anything."""
    with _named_errors("HeadBucket", bucket, ""):
        client(read_timeout=2, attempts=1).head_bucket(Bucket=bucket)


def make_bucket(bucket: str) -> bool:
    """Make the bucket where it is missing; answers whether it was. Raises StorageUnavailable, StorageDenied."""
    try:
        check_bucket(bucket)
    except BucketMissing:
        # AWS refuses the name of its first region here, and wants that of any other.
        where: Any = {"LocationConstraint": settings.S3_REGION}
        extra = {} if settings.S3_REGION == "us-east-1" else {"CreateBucketConfiguration": where}
        with _named_errors("CreateBucket", bucket, ""):
            client().create_bucket(Bucket=bucket, **extra)
        return True
    return False


def _explained(code: str, message: str) -> str:
    if code == "AccessDenied":
        return "The S3 server refuses to delete: the console's credentials lack s3:DeleteObject on this bucket."
    return message


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


@contextmanager
def _named_errors(operation: str, bucket: str, key: str) -> Iterator[None]:
    """What botocore raises, as errors that say what to do."""
    try:
        yield
    except NoCredentialsError:
        raise StorageDenied("There are no S3 credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.") from None
    except ClientError as error:
        raise _from_answer(error, operation, bucket, key) from error
    except BotoCoreError as error:
        raise StorageUnavailable(
            f"The S3 server did not answer ({type(error).__name__}). Try again in a moment."
        ) from error


def _from_answer(error: ClientError, operation: str, bucket: str, key: str) -> Exception:
    code = _code(error)
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code == "NoSuchBucket" or (operation == "HeadBucket" and status == 404):
        return BucketMissing(f"The bucket {bucket} does not exist: make it, or correct DAGY_TRACES_BUCKET.")
    if code in {"NoSuchKey", "404", "NotFound"} and key:
        return ObjectGone("This trace is no longer in storage: it was deleted there. The list follows within seconds.")
    if code in {"InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken"}:
        return StorageDenied(f"The S3 server does not accept the console's credentials ({code}).")
    if status == 403 or code == "AccessDenied":
        action = _IAM_ACTIONS.get(operation, f"s3:{operation}")
        kind = ObjectDenied if operation in {"GetObject", "HeadObject"} else StorageDenied
        return kind(f"The S3 server refuses {operation} on {bucket}: the credentials lack {action}.")
    return StorageUnavailable(f"The S3 server answered {code or status} to {operation}. Try again in a moment.")

"""The two buckets, made where they are missing."""

from __future__ import annotations

from collections.abc import Mapping

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from mypy_boto3_s3 import S3Client

from embedded.errors import EmbeddedError

_MISSING = {"404", "NoSuchBucket", "NotFound"}
_OURS_ALREADY = {"BucketAlreadyOwnedByYou", "BucketAlreadyExists"}


def ensure_buckets(environment: Mapping[str, str]) -> None:
    """Make the buckets that `environment` names, where they are missing. Raises EmbeddedError where that is refused."""
    client = _client(environment)
    for variable in ("DAGY_TRACES_BUCKET", "DAGY_ARTIFACTS_BUCKET"):
        if bucket := environment.get(variable):
            _ensure(client, bucket, variable, environment.get("AWS_DEFAULT_REGION", "us-east-1"))


def _client(environment: Mapping[str, str]) -> S3Client:
    session = boto3.session.Session(
        aws_access_key_id=environment.get("AWS_ACCESS_KEY_ID"),
        aws_secret_access_key=environment.get("AWS_SECRET_ACCESS_KEY"),
        aws_session_token=environment.get("AWS_SESSION_TOKEN"),
        region_name=environment.get("AWS_DEFAULT_REGION"),
    )
    config = Config(connect_timeout=5, read_timeout=20, proxies={} if _is_local(environment) else None)
    return session.client("s3", endpoint_url=environment.get("AWS_ENDPOINT_URL_S3"), config=config)


def _is_local(environment: Mapping[str, str]) -> bool:
    return environment.get("AWS_ENDPOINT_URL_S3", "").startswith("http://127.0.0.1:")


def _ensure(client: S3Client, bucket: str, variable: str, region: str) -> None:
    try:
        client.head_bucket(Bucket=bucket)
        return
    except ClientError as error:
        if error.response["Error"]["Code"] not in _MISSING:
            raise EmbeddedError(
                f"The bucket {bucket} ({variable}) cannot be used: {error}. Check the AWS credentials and that they "
                "allow s3:ListBucket on it."
            ) from None
    except BotoCoreError as error:
        raise EmbeddedError(f"The S3 server does not answer: {error}. Check AWS_ENDPOINT_URL_S3.") from None
    _create(client, bucket, variable, region)


def _create(client: S3Client, bucket: str, variable: str, region: str) -> None:
    try:
        if region == "us-east-1":
            client.create_bucket(Bucket=bucket)
        else:
            # Any region's name is valid here; the stubs list those of their day.
            where = {"LocationConstraint": region}
            client.create_bucket(Bucket=bucket, CreateBucketConfiguration=where)  # type: ignore[arg-type]
    except ClientError as error:
        if error.response["Error"]["Code"] not in _OURS_ALREADY:
            raise EmbeddedError(
                f"The bucket {bucket} ({variable}) is missing and could not be made: {error}. Make it, or name another."
            ) from None

"""The artifacts bucket, by django-storages: bundles of code, and what runs leave behind.

It is the storage `artifacts` of settings.STORAGES, so that an operator can give it another place. Its calls have the
time-outs and the named errors of every other call of the S3 server (`core.storage`).
"""

from typing import Any

from boto3.s3.transfer import TransferConfig
from django.conf import settings
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from storages.backends.s3 import S3Storage

from dagy_console.core import storage


class ArtifactsStorage(S3Storage):  # type: ignore[misc]
    def get_default_settings(self) -> dict[str, Any]:
        defaults: dict[str, Any] = super().get_default_settings()
        return defaults | {
            "bucket_name": settings.ARTIFACTS_BUCKET,
            "endpoint_url": settings.S3_ENDPOINT_URL,
            "region_name": settings.S3_REGION,
            "client_config": storage.config(connect_timeout=2, read_timeout=10, attempts=2),
            # An object is small, and is written by one thread: those of a pool would outlive a worker's fork.
            "transfer_config": TransferConfig(use_threads=False),
        }


def save(key: str, data: bytes, *, content_type: str) -> None:
    """Raises StorageUnavailable, StorageDenied."""
    content = ContentFile(data)
    content.content_type = content_type  # type: ignore[attr-defined]
    with storage.asking("PutObject", settings.ARTIFACTS_BUCKET, key):
        storages["artifacts"].save(key, content)


def read(key: str) -> bytes:
    """Raises ObjectGone, StorageUnavailable, StorageDenied."""
    with storage.asking("GetObject", settings.ARTIFACTS_BUCKET, key):
        try:
            with storages["artifacts"].open(key) as file:
                return bytes(file.read())
        except FileNotFoundError:
            raise storage.ObjectGone(f"{key} is no longer in the bucket.") from None

"""Links that hand an object out without a sign-in, for a quarter of an hour."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.utils import timezone

from dagy_console.core import storage
from dagy_console.core.times import to_rfc3339


@dataclass(frozen=True, slots=True)
class Download:
    """A link that needs no sign-in until `expires_at`; `expires_in` is in seconds."""

    url: str
    filename: str
    expires_in: int
    expires_at: datetime

    def out(self) -> dict[str, Any]:
        """As the API answers it: see `core.api.DownloadOut`."""
        return {
            "url": self.url,
            "filename": self.filename,
            "expires_in": self.expires_in,
            "expires_at": to_rfc3339(self.expires_at),
        }


def link_to(bucket: str, key: str, *, filename: str, content_type: str = "application/json") -> Download:
    """Downloads the object as `filename` (plain ASCII). Raises StorageDenied."""
    expires_at = timezone.now() + timedelta(seconds=settings.DOWNLOAD_SECONDS)
    url = storage.presigned_download(bucket, key, filename=filename, content_type=content_type)
    return Download(url, filename, settings.DOWNLOAD_SECONDS, expires_at)

"""The bucket that traces lie in."""

from django.conf import settings

from dagy_console.core.errors import Unavailable


class BucketUnset(Unavailable):
    title = "Trace storage is not set up"

    def __init__(self) -> None:
        super().__init__("DAGY_TRACES_BUCKET is not set: exceptions are logged and not stored. Set it and restart.")


def traces_bucket() -> str:
    """Raises BucketUnset."""
    if not settings.TRACES_BUCKET:
        raise BucketUnset
    return str(settings.TRACES_BUCKET)

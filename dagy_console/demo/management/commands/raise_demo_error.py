"""`manage.py raise_demo_error`: raise an exception, capture it, and say where it went."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from dagy import capture


class DemoError(RuntimeError):
    """Raised on purpose."""


class Command(BaseCommand):
    help = "Raise and capture a demo exception, to see that capture, storage and the index work."

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.TRACES_BUCKET:
            raise CommandError("DAGY_TRACES_BUCKET is not set: the exception would be logged and not stored.")
        try:
            raise DemoError("raise_demo_error was asked to fail, and did")
        except DemoError as error:
            request_id = capture.capture_exception(error, http_method="CLI", http_path="raise_demo_error")
        if not capture.flush(timeout=15):
            raise CommandError(f"The trace could not be stored in time: {capture.stats()}")
        self.stdout.write(f"Stored; find it with request:{request_id}")

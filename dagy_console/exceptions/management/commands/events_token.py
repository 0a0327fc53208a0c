"""`manage.py events_token`: what the bucket's events prove themselves with."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from dagy_console.core.errors import ConsoleError
from dagy_console.exceptions.index.events import token


class Command(BaseCommand):
    help = "Print the token that S3, MinIO or EventBridge sends its events with (POST /admin/exceptions/events)."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            self.stdout.write(token())
        except ConsoleError as error:
            raise CommandError(error.detail) from None

"""`manage.py make_buckets`: the buckets of the settings, where they are missing. Needs s3:CreateBucket."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from dagy_console.core import storage
from dagy_console.core.errors import ConsoleError


class Command(BaseCommand):
    help = "Make the buckets of DAGY_TRACES_BUCKET and DAGY_ARTIFACTS_BUCKET where they are missing."

    def handle(self, *args: Any, **options: Any) -> None:
        wanted = {"DAGY_TRACES_BUCKET": settings.TRACES_BUCKET, "DAGY_ARTIFACTS_BUCKET": settings.ARTIFACTS_BUCKET}
        for variable, bucket in wanted.items():
            if not bucket:
                self.stdout.write(f"{variable} is not set: no bucket.")
                continue
            try:
                made = storage.make_bucket(bucket)
            except ConsoleError as error:
                raise CommandError(f"{variable}: {error.detail}") from None
            self.stdout.write(f"{bucket}: {'made' if made else 'is there'}.")

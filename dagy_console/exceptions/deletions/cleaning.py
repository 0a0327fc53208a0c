"""What finished deletions leave behind, taken away after a while."""

from datetime import timedelta

from django.utils import timezone

from dagy_console.exceptions.models import DeletionError

KEPT = timedelta(days=90)


def remove_old_errors() -> int:
    """Remove the errors of jobs that ended over 90 days ago; answers how many. The jobs stay, with their counts.

    No audit entry: nobody asked for it and nothing is lost that proves anything; the audit log keeps how each
    deletion ended, and how many keys failed.
    """
    removed, _ = DeletionError.objects.filter(job__finished_at__lt=timezone.now() - KEPT).delete()
    return removed

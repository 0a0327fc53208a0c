"""`manage.py migrate` as the database's owner, followed by what the application's role may do."""

from typing import Any

from django.core.management.commands import migrate

from dagy_console.core import roles


class Command(migrate.Command):
    def handle(self, *args: Any, **options: Any) -> None:
        """Migrate as DATABASE_OWNER_URL says, or as DATABASE_URL where that is not set."""
        with roles.connected_as("owner"):
            super().handle(*args, **options)
            if not options.get("plan"):
                roles.grant()

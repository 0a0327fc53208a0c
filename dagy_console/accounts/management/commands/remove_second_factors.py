"""`manage.py remove_second_factors EMAIL`: the way back in for somebody who lost phone, passkeys and recovery codes."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from dagy_console.accounts.models import User
from dagy_console.accounts.services import people
from dagy_console.core.actors import SYSTEM


class Command(BaseCommand):
    help = "Take a user's authenticator app, passkeys and recovery codes away. Make sure who asks for it."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email")

    def handle(self, *args: Any, **options: Any) -> None:
        user = User.objects.filter(email=options["email"]).first()
        if user is None:
            raise CommandError(f"There is no user {options['email']}.")
        count = people.remove_second_factors(actor=SYSTEM, user=user)
        print(f"{count} taken away: {user.email} signs in by password alone. Super admins set up a new one first.")

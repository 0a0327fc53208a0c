"""`manage.py create_super_admin EMAIL`: the first person of a new installation."""

import getpass
import os
from typing import Any

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.core.validators import validate_email

from dagy_console.accounts.models import User
from dagy_console.accounts.services.people import create_user
from dagy_console.core.actors import SYSTEM


class Command(BaseCommand):
    help = "Create a super admin. The password is asked for, or taken from DAGY_PASSWORD."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email")
        parser.add_argument("--name", default="")

    def handle(self, *args: Any, email: str, name: str, **options: Any) -> None:
        password = os.environ.get("DAGY_PASSWORD") or getpass.getpass("Password: ")
        try:
            validate_email(email)
            validate_password(password, User(email=email, name=name))
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from None
        if User.objects.filter(email=email).exists():
            raise CommandError(f"There is a user {email} already.")
        user = create_user(actor=SYSTEM, email=email, name=name, password=password, super_admin=True)
        self.stdout.write(f"{user.email} can sign in.")

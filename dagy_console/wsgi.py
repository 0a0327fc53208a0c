"""WSGI entry: `gunicorn dagy_console.wsgi:application`."""

import os

from django.core.management.base import BaseCommand
from django.core.wsgi import get_wsgi_application

from dagy_console.core import storage

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dagy_console.settings")
application = get_wsgi_application()
storage.hurry()
# A server runs no checks by itself: a setting that would hurt stops it here, with the reason.
BaseCommand().check()

"""WSGI entry, which `dagy_console.serve` serves."""

import os

from django.core.management.base import BaseCommand
from django.core.wsgi import get_wsgi_application
from django.db.backends.signals import connection_created

from dagy_console.core import storage
from dagy_console.core.database import limit_waiting

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dagy_console.settings")
# Of the web alone: a worker's statements may take as long as they need.
connection_created.connect(limit_waiting)
application = get_wsgi_application()
storage.hurry()
# A server runs no checks by itself: a setting that would hurt stops it here, with the reason.
BaseCommand().check()

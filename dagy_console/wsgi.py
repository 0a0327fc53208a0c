"""WSGI entry: `gunicorn dagy_console.wsgi:application`."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dagy_console.settings")
application = get_wsgi_application()

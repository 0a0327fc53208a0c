"""Dagy Console: the incident-response system of the Dagy platform."""

from dagy_console.celery import app as celery_app

__version__ = "0.1.0"
__all__ = ["__version__", "celery_app"]

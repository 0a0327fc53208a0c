from django.apps import AppConfig


class RunsConfig(AppConfig):
    name = "dagy_console.runs"
    label = "runs"

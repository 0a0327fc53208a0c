from django.apps import AppConfig


class ExceptionsConfig(AppConfig):
    name = "dagy_console.exceptions"
    label = "exceptions"

    def ready(self) -> None:
        from dagy_console.core import health, partitions
        from dagy_console.exceptions import index_status, models
        from dagy_console.exceptions.services.capturing import start_capture

        partitions.PARTITIONED.add(models.Trace._meta.db_table)
        health.register("trace index", index_status.check)
        start_capture()

from django.apps import AppConfig


class ExceptionsConfig(AppConfig):
    name = "dagy_console.exceptions"
    label = "exceptions"

    def ready(self) -> None:
        from dagy_console.core import health, navigation, partitions
        from dagy_console.core.permissions import Permission
        from dagy_console.exceptions import index_status, models
        from dagy_console.exceptions.services.capturing import start_capture

        navigation.register(
            "exceptions",
            "Exceptions",
            url_name="exceptions:list",
            key="e",
            order=10,
            permission=Permission.EXCEPTIONS_READ,
        )
        partitions.PARTITIONED[models.Trace._meta.db_table] = ""
        health.register("trace index", index_status.check)
        start_capture()

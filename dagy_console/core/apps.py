from functools import partial

from django.apps import AppConfig


class CoreConfig(AppConfig):
    name = "dagy_console.core"
    label = "core"

    def ready(self) -> None:
        from dagy_console.core import checks, health, lookups  # noqa: F401 - registers the settings checks

        lookups.register()
        health.register("database", health.check_database)
        health.register("redis", health.check_redis)
        health.register("s3", health.check_storage)
        health.register("workers", partial(health.check_heartbeat, "worker"))
        health.register("beat", partial(health.check_heartbeat, "beat"))

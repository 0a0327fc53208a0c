from functools import partial

from django.apps import AppConfig


class CoreConfig(AppConfig):
    name = "dagy_console.core"
    label = "core"

    def ready(self) -> None:
        from dagy_console.core import checks, health, lookups, mail, metrics, navigation  # noqa: F401 - registers the settings checks
        from dagy_console.core.metrics import Gauge
        from dagy_console.core.permissions import Permission

        lookups.register()
        navigation.register("home", "Home", url_name="home", key="h", order=0)
        navigation.register(
            "system", "System", url_name="system", key="s", order=100, permission=Permission.PLATFORM_READ
        )
        metrics.register(
            Gauge(
                "dagy_component_state",
                "Of each component of /health: 0 healthy, 1 degraded, 2 unhealthy.",
                metrics.states,
                label="component",
            ),
            Gauge(
                "dagy_periodic_tasks_missed",
                "How often each periodic task was given up, since no worker came to it within its period.",
                health.missed_ever,
                label="task",
            ),
            Gauge("dagy_mails_lag_seconds", "Age of the oldest mail that waits; 0: none does.", mail.lag),
        )
        health.register("database", health.check_database)
        health.register("redis", health.check_redis)
        health.register("s3", health.check_storage)
        health.register("mail", mail.check)
        health.register("rate limit", health.check_rate_limit, live=True)
        health.register("workers", partial(health.check_heartbeat, "worker"), live=True)
        health.register("beat", partial(health.check_heartbeat, "beat"), live=True)
        health.register("periodic tasks", health.check_periods, live=True)

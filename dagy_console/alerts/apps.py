from django.apps import AppConfig


class AlertsConfig(AppConfig):
    name = "dagy_console.alerts"
    label = "alerts"

    def ready(self) -> None:
        from dagy_console.alerts import heartbeat, measures, outbox
        from dagy_console.alerts import metrics as figures
        from dagy_console.alerts.measures import own
        from dagy_console.alerts.rules.watching import watch_url
        from dagy_console.core import health, metrics, navigation
        from dagy_console.core.permissions import Permission
        from dagy_console.listing.page import register_watch

        navigation.register(
            "alerts", "Alerts", url_name="alerts:list", key="l", order=25, permission=Permission.NOTIFICATIONS_READ
        )
        health.register("alerts", outbox.check, fresh=True)
        health.register("alert rules", heartbeat.check)
        metrics.register(*figures.gauges())
        register_watch(watch_url)
        measures.register(own.AuditCount(), own.HealthDown(), own.CheckerHeartbeat(), own.ChannelFailing())

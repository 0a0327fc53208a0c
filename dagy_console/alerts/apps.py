from django.apps import AppConfig


class AlertsConfig(AppConfig):
    name = "dagy_console.alerts"
    label = "alerts"

    def ready(self) -> None:
        from dagy_console.alerts import heartbeat, measures, outbox
        from dagy_console.alerts.measures import own
        from dagy_console.core import health, navigation
        from dagy_console.core.permissions import Permission

        navigation.register(
            "alerts", "Alerts", url_name="alerts:list", key="l", order=25, permission=Permission.NOTIFICATIONS_READ
        )
        health.register("alerts", outbox.check)
        health.register("alert rules", heartbeat.check)
        measures.register(own.AuditCount(), own.HealthDown(), own.CheckerHeartbeat(), own.ChannelFailing())

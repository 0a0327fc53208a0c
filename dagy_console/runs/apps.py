from django.apps import AppConfig


class RunsConfig(AppConfig):
    name = "dagy_console.runs"
    label = "runs"

    def ready(self) -> None:
        from dagy_console.alerts.measures import register
        from dagy_console.core import health, metrics, navigation
        from dagy_console.core.permissions import Permission
        from dagy_console.listing import rollups
        from dagy_console.runs import customers, measures, stuck
        from dagy_console.runs import metrics as figures
        from dagy_console.runs.models import Run
        from dagy_console.runs.search import RUNS

        navigation.register("runs", "Runs", url_name="runs:list", key="r", order=20, permission=Permission.RUNS_READ)
        health.register("runs", stuck.check)
        metrics.register(*figures.gauges())
        customers.register()
        register(
            measures.RunFailed(),
            measures.FailureRate(),
            measures.RunDuration(),
            measures.RunStuck(),
            measures.QueueWait(),
            measures.NoSuccessSince(),
        )
        rollups.register(RUNS, Run.objects.all)

from django.apps import AppConfig


class ExceptionsConfig(AppConfig):
    name = "dagy_console.exceptions"
    label = "exceptions"

    def ready(self) -> None:
        from dagy_console.alerts.measures import register
        from dagy_console.core import health, jobs, metrics, navigation, partitions
        from dagy_console.core.metrics import Gauge
        from dagy_console.core.permissions import Permission
        from dagy_console.exceptions import customers, measures, models, runs
        from dagy_console.exceptions.deletions import running, services
        from dagy_console.exceptions.index import status
        from dagy_console.exceptions.index.capturing import start_capture
        from dagy_console.exceptions.search import TRACES
        from dagy_console.listing import rollups
        from dagy_console.runs import registry

        navigation.register(
            "exceptions",
            "Exceptions",
            url_name="exceptions:list",
            key="e",
            order=10,
            permission=Permission.EXCEPTIONS_READ,
        )
        partitions.PARTITIONED.add(models.Trace._meta.db_table)
        rollups.register(TRACES, models.Trace.objects.all)
        metrics.register(Gauge("dagy_trace_index_lag_seconds", "Since the bucket was looked at last.", status.behind))
        health.register("trace index", status.check)
        jobs.register(services.JOB, model=models.DeletionJob, run=running.run, ended=services.record_end)
        customers.register()
        register(
            measures.ExceptionCount(), measures.NewGroup(), measures.Regression(), measures.OrganizationsAffected()
        )
        registry.links.append(runs.traces_of)
        start_capture()

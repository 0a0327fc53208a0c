from django.apps import AppConfig


class RunsConfig(AppConfig):
    name = "dagy_console.runs"
    label = "runs"

    def ready(self) -> None:
        from dagy_console.alerts import measures
        from dagy_console.core import health, navigation
        from dagy_console.core.permissions import Permission
        from dagy_console.listing import rollups
        from dagy_console.runs import customers, selectors, stuck
        from dagy_console.runs.models import Run
        from dagy_console.runs.search import RUNS

        navigation.register("runs", "Runs", url_name="runs:list", key="r", order=20, permission=Permission.RUNS_READ)
        health.register("runs", stuck.check)
        customers.register()
        measures.register(
            measures.Measure(
                "run_failed",
                "Failed runs",
                "run",
                RUNS,
                Permission.RUNS_READ,
                selectors.failed,
                lambda rows, org_id: rows.filter(organization=org_id),
            )
        )
        rollups.register(RUNS, Run.objects.all)

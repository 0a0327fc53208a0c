from django.apps import AppConfig


class AuditConfig(AppConfig):
    name = "dagy_console.audit"
    label = "audit"

    def ready(self) -> None:
        from dagy_console.audit import models, services
        from dagy_console.core import http, partitions, roles

        partitions.PARTITIONED.add(models.AuditEntry._meta.db_table)
        roles.APPEND_ONLY.add(models.AuditEntry._meta.db_table)
        http.denial_watchers.append(services.record_denial)

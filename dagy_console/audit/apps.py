from django.apps import AppConfig


class AuditConfig(AppConfig):
    name = "dagy_console.audit"
    label = "audit"

    def ready(self) -> None:
        from dagy_console.audit import models
        from dagy_console.audit.search import ENTRIES
        from dagy_console.core import navigation, partitions, roles
        from dagy_console.core.permissions import Permission
        from dagy_console.listing import rollups

        navigation.register(
            "audit", "Audit", url_name="audit:list", key="a", order=90, permission=Permission.AUDIT_READ
        )
        partitions.PARTITIONED.add(models.AuditEntry._meta.db_table)
        rollups.register(ENTRIES, models.AuditEntry.objects.all)
        roles.APPEND_ONLY.add(models.AuditEntry._meta.db_table)

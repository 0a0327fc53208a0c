from django.apps import AppConfig


class AuditConfig(AppConfig):
    name = "dagy_console.audit"
    label = "audit"

    def ready(self) -> None:
        from dagy_console.audit import models
        from dagy_console.core import navigation, partitions
        from dagy_console.core.permissions import Permission

        navigation.register(
            "audit", "Audit", url_name="audit:list", key="a", order=90, permission=Permission.AUDIT_READ
        )
        # TRUNCATE of a partition passes its parent's triggers by.
        partitions.PARTITIONED[models.AuditEntry._meta.db_table] = (
            'CREATE TRIGGER no_truncate BEFORE TRUNCATE ON "{partition}" '
            "FOR EACH STATEMENT EXECUTE FUNCTION audit_entry_is_append_only();"
        )

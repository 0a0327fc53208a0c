"""What Django lacks. `field__like` and `field__ilike`: patterns that are already escaped, which btree and trigram
indexes can serve. `address__within`: of a network."""

from typing import Any

from django.db.models import CharField, ForeignKey, GenericIPAddressField, Lookup, TextField
from django.db.models.sql.compiler import SQLCompiler


class Like(Lookup):
    lookup_name = "like"
    operator = "LIKE"

    def as_sql(self, compiler: SQLCompiler, connection: Any) -> tuple[str, tuple[Any, ...]]:
        left, left_params = self.process_lhs(compiler, connection)
        right, right_params = self.process_rhs(compiler, connection)
        return f"{left} {self.operator} {right}", (*left_params, *right_params)


class ILike(Like):
    lookup_name = "ilike"
    operator = "ILIKE"


class Within(Lookup):
    lookup_name = "within"
    prepare_rhs = False

    def as_sql(self, compiler: SQLCompiler, connection: Any) -> tuple[str, tuple[Any, ...]]:
        left, left_params = self.process_lhs(compiler, connection)
        return f"{left} <<= %s::inet", (*left_params, str(self.rhs))


def register() -> None:
    GenericIPAddressField.register_lookup(Within)
    for field in (CharField, TextField, ForeignKey):
        field.register_lookup(Like)
        field.register_lookup(ILike)

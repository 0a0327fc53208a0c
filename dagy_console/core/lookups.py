"""`field__like` and `field__ilike`: patterns that are already escaped, which btree and trigram indexes can serve."""

from typing import Any

from django.db.models import CharField, Lookup, TextField
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


def register() -> None:
    for field in (CharField, TextField):
        field.register_lookup(Like)
        field.register_lookup(ILike)

"""How many rows there are, and how many values of a facet, in each of some spans of time: figures that stand alone."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import QuerySet

from dagy_console.listing.language import Listing
from dagy_console.listing.rollups import full_hours, outside


@dataclass(slots=True)
class Tally:
    """`distinct`: key of the language -> how many values it has."""

    count: int = 0
    distinct: dict[str, int] = field(default_factory=dict)


def tallies(listing: Listing, rows: QuerySet[Any], keys: Sequence[str], edges: Sequence[datetime]) -> list[Tally]:
    """Of all `rows` of the list from each of the edges, which ascend, to the next. Full hours come from their
    counts."""
    columns = {listing.key(name).column: name for name in keys}
    known = full_hours(listing.source, edges)
    window = {f"{listing.time}__gte": edges[0], f"{listing.time}__lt": edges[-1]}
    live = rows.filter(outside(listing.time, known), **window).order_by().values_list(listing.time, *columns)
    inner, params = live.query.sql_with_params()
    named = ", ".join(columns)
    values = ", ".join(["('', '')", *(f"('{column}', {column}::text)" for column in columns)])
    spans = "".join(_SPAN for _ in known)
    asked = [value for span in known for value in (listing.source, ["", *columns], *span)]
    sql = _TALLIES.format(inner=inner, columns=f"moment, {named}" if named else "moment", values=values, spans=spans)
    found = [Tally() for _ in edges[1:]]
    with connection.cursor() as cursor:
        cursor.execute(sql, [list(edges), *params, *asked])
        for number, column, count, distinct in cursor.fetchall():
            if column:
                found[number - 1].distinct[columns[column]] = distinct
            else:
                found[number - 1].count = int(count)
    return found


_TALLIES = """
SELECT width_bucket(moment, %s::timestamptz[]), name, sum(count), count(DISTINCT value)
FROM (
    SELECT moment, name, value, 1 AS count
    FROM ({inner}) AS live ({columns}), LATERAL (VALUES {values}) AS one (name, value)
    {spans}
) AS counted
WHERE value IS NOT NULL
GROUP BY 1, 2
"""
_SPAN = """
UNION ALL SELECT hour, "column", value, count FROM listing_hourcount
WHERE source = %s AND "column" = ANY(%s) AND hour >= %s AND hour < %s
"""

"""Counts of days, so that a search that has no other terms than one of a facet need not count every row anew.

`source` names the list (`Listing.source`), `column` one of its facets ("" is all rows). They are written by
`rollups.roll_up` alone; `marking` says when they hold.
"""

from django.db import models


class RolledUpDay(models.Model):
    """A day (UTC) of a list. Its counts are those of its rows before `counted_until` (a full hour), exactly; there are
    none that hold where that is null. Nothing from `until` on is counted: who writes there locks nothing."""

    pk = models.CompositePrimaryKey("source", "day")
    source = models.TextField()
    day = models.DateField()
    until = models.DateTimeField()
    counted_until = models.DateTimeField(null=True)
    # Transactions from this one on have seen how far it reaches, or can.
    seen_from = models.BigIntegerField(null=True)

    def __str__(self) -> str:
        return f"{self.source} {self.day}"


class DayCount(models.Model):
    """How many rows of a day have `value` in `column`, of those that have `given_value` in `given_column`. Of a day
    that is under way there is one for each time that it was counted further: they are to be summed."""

    source = models.TextField()
    day = models.DateField()
    given_column = models.TextField()
    given_value = models.TextField()
    # Values may be longer than an index takes.
    given_hash = models.BigIntegerField()
    column = models.TextField()
    value = models.TextField()
    count = models.BigIntegerField()

    class Meta:
        indexes = [
            models.Index(fields=["source", "given_column", "given_hash", "day"], name="day_count_given"),
            models.Index(fields=["source", "day"], name="day_count_of_day"),
        ]

    def __str__(self) -> str:
        return f"{self.count} of {self.day}"


class HourCount(models.Model):
    """How many rows of an hour have `value` in `column`."""

    source = models.TextField()
    hour = models.DateTimeField()
    column = models.TextField()
    value = models.TextField()
    value_hash = models.BigIntegerField()
    count = models.BigIntegerField()

    class Meta:
        indexes = [
            models.Index(fields=["source", "column", "value_hash", "hour"], name="hour_count_of_value"),
            models.Index(fields=["source", "hour"], name="hour_count_of_hour"),
        ]

    def __str__(self) -> str:
        return f"{self.count} of {self.hour}"

"""The demo's invoices: their number and their total."""

import logging

from dagy import flow, task

log = logging.getLogger("invoices")
COLUMNS = ("number", "total")
ROWS = ["2026-0117,410.50,EUR", "2026-0118,99.00,EUR", "2026-0119,1250.00"]


@task
def fetch() -> list[str]:
    log.info("%d invoices are new", len(ROWS))
    return ROWS


@task
def parse(rows: list[str]) -> list[dict[str, str]]:
    return [_parsed(row) for row in rows]


def _parsed(row: str) -> dict[str, str]:
    values = row.split(",")
    if len(values) < len(COLUMNS):
        raise ValueError(f"invoice {values[0]} has no {COLUMNS[len(values)]}: {row!r}")
    return dict(zip(COLUMNS, values, strict=False))


@task
def book(invoices: list[dict[str, str]]) -> int:
    return len(invoices)


@task
def notify(count: int) -> None:
    log.info("%d invoices were booked", count)


@flow(version="1.3")
def invoice_import() -> None:
    notify(book(parse(fetch())))

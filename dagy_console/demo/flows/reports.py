"""The demo's daily report: three steps, and the same one for each region."""

import logging
import time

from dagy import LocalArtifact, RunContext, flow, task

log = logging.getLogger("reports")
REGIONS = ("north", "south", "west")


@task(retries=2, retry_delay_seconds=0.1)
def extract(day: str) -> dict[str, list[int]]:
    log.info("reading the orders of %s", day)
    if RunContext.current().attempt == 1:
        raise ConnectionResetError("orders.internal:5432 closed the connection")
    return {region: [17, 4, 29, len(region)] for region in REGIONS}


@task
def summarize(orders: dict[str, list[int]], region: str) -> int:
    time.sleep(0.05)
    total = sum(orders[region])
    log.info("%s: %d orders", region, total)
    return total


@task
def publish(totals: list[int]) -> LocalArtifact:
    if sum(totals) < 100:
        log.warning("only %d orders: fewer than on any day of last week", sum(totals))
    rows = [f"{region},{total}" for region, total in zip(REGIONS, totals, strict=True)]
    return LocalArtifact(data="\n".join(["region,orders", *rows]), name="orders.csv", content_type="text/csv")


@flow(version="2026.3")
def daily_report(day: str = "yesterday") -> None:
    orders = extract(day)
    publish([summarize(orders, region) for region in REGIONS])

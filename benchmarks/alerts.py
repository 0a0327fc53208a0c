"""How long a round of checks takes, and how fast what it finds is told.

    python -m embedded shell -- python benchmarks/alerts.py [--rules 10000] [--traces 1000000] [--messages 2000]

`round`: an index of its own with synthetic traces of 30 days, rules of 200 organizations and of the platform over it:
by type, path, group, method, free text or nothing, over 5 min to a day, some with dimensions; the time of a round that
checks them all, of the first one of a process (which writes their queries), and of the usual ones, every 5 s. Every
plan is looked at, and a sequential scan of a partition of the index is told. `told`: messages a second from the outbox
to a receiver on loopback, by one worker thread and by four. Prints JSON.
"""

from __future__ import annotations

import argparse
import json
import random
import threading
import time
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Any

from console import fill_index, machine, open_console

WINDOWS = (300, 300, 300, 300, 300, 300, 3_600, 3_600, 3_600, 86_400)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rules", type=int, default=10_000)
    parser.add_argument("--traces", type=int, default=1_000_000)
    parser.add_argument("--messages", type=int, default=2_000)
    options = parser.parse_args()
    with open_console():
        told: dict[str, Any] = {"rules": options.rules, "traces": options.traces}
        if options.rules:
            fill_index(options.traces)
            make_rules(options.rules)
            told["round"] = rounds()
        if options.messages:
            told["told"] = {f"{threads} threads": outbox(options.messages, threads) for threads in (1, 4)}
        print(json.dumps(told | machine()))


def make_rules(count: int) -> None:
    """Most never fire, a few do: as of an installation that somebody looks after."""
    from django.db import connection

    from dagy_console.accounts.models import Organization
    from dagy_console.alerts.models import Rule
    from dagy_console.exceptions.models import IndexState, Trace

    chance = random.Random(7)
    sample = list(
        Trace.objects.order_by("-timestamp").values_list("org_id", "exception_type", "http_path", "fingerprint")[:5_000]
    )
    organizations = sorted({row[0] for row in sample if row[0].startswith("org")})[:200]
    Organization.objects.bulk_create(Organization(id=org, name=org) for org in organizations)
    IndexState.objects.update_or_create(
        pk=1, defaults={"checked_at": datetime.now(UTC) + timedelta(days=1), "complete_at": datetime.now(UTC)}
    )
    rules = []
    for number in range(count):
        _, kind, path, group = chance.choice(sample)
        query = chance.choice(
            [
                *("", ""),
                *[f"type:{kind}"] * 3,
                f"path:{path}",
                f"path:/{path.split('/')[1]}*",
                f"group:{group}",
                f"method:POST -path:{path}",
                f'"{kind[:6]}"',
            ]
        )
        is_platforms = number % 10 == 0
        rules.append(
            Rule(
                name=f"rule {number}",
                organization_id=None if is_platforms else organizations[number % len(organizations)],
                measure="exception_count",
                query=query,
                window_seconds=chance.choice(WINDOWS),
                op=chance.choices(["above", "change"], [9, 1])[0],
                value=chance.choices([10_000, 20], [99, 1])[0],
                group_by=chance.choices([[], ["type"], ["path"]], [8, 1, 1])[0],
                severity="warning",
                created_by="bench",
            )
        )
    Rule.objects.bulk_create(rules, batch_size=1_000)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE alerts_rule")


def rounds() -> dict[str, Any]:
    """`all`: every rule in one round, as after an outage; `usual`: those whose turn it is, every 5 s, for a minute."""
    from unittest import mock

    from dagy_console.alerts import checking
    from dagy_console.alerts.models import Alert, Rule

    start = datetime.now(UTC)

    def round_at(second: int) -> float:
        with mock.patch.object(checking, "timezone") as clock:
            clock.now.return_value = start + timedelta(seconds=second)
            began = time.monotonic()
            checked = checking.check_due()
            taken = time.monotonic() - began
        print(f"{checked} rules in {taken:.2f} s", flush=True)
        return taken

    first = round_at(0)
    Rule.objects.update(checked_at=None)
    at_once = round_at(5)
    usual = [round_at(second) for second in range(10, 70, 5)]
    return {
        "first_s": round(first, 2),
        "all_s": round(at_once, 2),
        "usual_median_s": round(median(usual), 2),
        "usual_slowest_s": round(max(usual), 2),
        "firing": Alert.objects.filter(status="firing").count(),
        "problems": Rule.objects.exclude(problem="").count(),
        "sequential": scans(),
    }


def scans() -> list[str]:
    """Statements of a round that read a partition of the index from end to end."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    from dagy_console.alerts import checking
    from dagy_console.alerts.models import Rule

    with CaptureQueriesContext(connection) as queries:
        list(checking.evaluate(list(Rule.objects.all()), datetime.now(UTC)))
    with connection.cursor() as cursor:
        # An empty partition is read whole by any plan; that is no scan to speak of.
        cursor.execute(
            "SELECT relname FROM pg_class JOIN pg_inherits ON inhrelid = pg_class.oid "
            "WHERE inhparent = 'trace'::regclass AND reltuples > 1000"
        )
        large = [row[0] for row in cursor.fetchall()]
    found = []
    for query in queries:
        if "LATERAL" not in query["sql"]:
            continue
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN {query['sql']}")
            plan = "\n".join(row[0] for row in cursor.fetchall())
        if any(f"Seq Scan on {name} " in plan for name in large):
            found.append(query["sql"].partition("LATERAL")[2][:200])
    print(f"{len(queries)} statements", flush=True)
    return found


def outbox(count: int, threads: int) -> float:
    """Messages a second, each of a subject of its own."""
    from django.conf import settings
    from django.db import connection

    from dagy_console.alerts import dispatch
    from dagy_console.alerts.channels.services import create_channel
    from dagy_console.alerts.messages import Event, Message
    from dagy_console.alerts.models import Channel, Delivery, Severity
    from dagy_console.core.actors import SYSTEM
    from embedded.inbox.receiver import Receiver

    with Receiver() as receiver:
        settings.CHANNEL_ALLOWED_HOSTS = ["127.0.0.1"]
        channel = create_channel(
            actor=SYSTEM, org_id="", name="bench", channel_type="webhook", config={"url": f"{receiver.url}/hook"}
        )
        for number in range(count):
            message = Message(
                Event.TRIGGERED, Severity.WARNING, f"s{number}", "A rule", "3 traces, above 2.", "", link=""
            )
            Delivery.objects.create(
                channel=channel, key=f"k{number}", subject=message.subject, message=message.described()
            )

        def work() -> None:
            while dispatch.deliver_due():
                pass
            connection.close()

        began = time.monotonic()
        workers = [threading.Thread(target=work) for _ in range(threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        rate = count / (time.monotonic() - began)
        keys = [got.headers["webhook-id"] for got in receiver.got]
        assert len(set(keys)) == len(keys), "a message was sent twice"
        assert not Delivery.objects.exclude(status="sent").exists()
        Channel.objects.all().delete()
    return round(rate, 1)


if __name__ == "__main__":
    main()

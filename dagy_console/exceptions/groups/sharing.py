"""What the traces of a group share that other traces of the same time have not: "40 of 40: shard=7"."""

from collections import Counter
from dataclasses import dataclass, field

from dagy_console.exceptions.groups.bodies import read_facts
from dagy_console.exceptions.groups.selectors import traces_of
from dagy_console.exceptions.models import Trace
from dagy_console.exceptions.search import TRACES

SAMPLE, OTHERS = 40, 20
# For the sample, then for the others.
SECONDS = (1.2, 0.6)
LEAST = 3
# Shared by so many of the sample, and by no more than so many of the others.
SHARED, ELSEWHERE = 0.8, 0.5
MOST, MAX_VALUE = 15, 200


@dataclass(frozen=True, slots=True)
class SharedFact:
    """`count` of the sample say so, and `elsewhere` of the other traces."""

    name: str
    value: str
    count: int
    elsewhere: int


@dataclass(frozen=True, slots=True)
class Shared:
    """`sample` and `others`: how many traces of the group, and of other groups, were read."""

    sample: int
    others: int
    facts: list[SharedFact] = field(default_factory=list)

    @property
    def is_enough(self) -> bool:
        return self.sample >= LEAST


def shared_by(fingerprint: str) -> Shared:
    """By the latest traces of the group, read from S3. What could not be read in time is left out."""
    newest = list(TRACES.keyset.newest_first(traces_of(fingerprint))[:SAMPLE])
    sample = read_facts(newest, seconds=SECONDS[0])
    if len(sample) < LEAST:
        return Shared(len(sample), 0)
    span = {"timestamp__lte": newest[0].timestamp, "timestamp__gte": newest[-1].timestamp}
    beside = TRACES.keyset.newest_first(Trace.objects.filter(**span).exclude(fingerprint=fingerprint))
    others = read_facts(list(beside[:OTHERS]), seconds=SECONDS[1])
    told, elsewhere = (Counter(fact for facts in traces for fact in facts.items()) for traces in (sample, others))
    facts = [
        SharedFact(name, value, count, elsewhere[name, value])
        for (name, value), count in told.items()
        if count >= SHARED * len(sample)
        and elsewhere[name, value] <= ELSEWHERE * len(others)
        and len(value) <= MAX_VALUE
    ]
    # Headers are much alike wherever one client calls.
    facts.sort(key=lambda fact: (-fact.count, fact.elsewhere, "headers" in fact.name, fact.name))
    return Shared(len(sample), len(others), facts[:MOST])

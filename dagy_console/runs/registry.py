"""What the apps above know of a run: links from its page."""

from collections.abc import Callable
from dataclasses import dataclass

from dagy_console.core.actors import Actor
from dagy_console.runs.models import Run


@dataclass(frozen=True, slots=True)
class Link:
    label: str
    url: str


links: list[Callable[[Actor, Run], list[Link]]] = []


def links_of(actor: Actor, run: Run) -> list[Link]:
    return [link for find in links for link in find(actor, run)]

"""What the apps above tell of a customer: figures in the list, panels on its page, what a suspension hits."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db.models.expressions import Combinable

from dagy_console.accounts.models import Suspension
from dagy_console.core.actors import Actor


@dataclass(frozen=True, slots=True)
class Figure:
    """A number in the list and on the page of customers. `count` is an expression over the organization's row; `url`
    leads to exactly what was counted. `bad`: more than none of it is worth a look."""

    name: str
    label: str
    count: Callable[[], Combinable]
    url: Callable[[str], str]
    bad: bool = False


@dataclass(frozen=True, slots=True)
class Panel:
    """A part of a customer's page: a template, and its context for an actor and an organization's id."""

    name: str
    template: str
    context: Callable[[Actor, str], dict[str, Any]]
    order: int


@dataclass(frozen=True, slots=True)
class Hit:
    """Something that a suspension stops: how many there are in an organization. `noun` is in the singular."""

    name: str
    noun: str
    count: Callable[[str], int]


figures: dict[str, Figure] = {}
panels: dict[str, Panel] = {}
hits: dict[str, Hit] = {}
# Called in the transaction that suspends, or lifts.
on_suspended: list[Callable[[Suspension], None]] = []
on_lifted: list[Callable[[Suspension], None]] = []


def add_figure(figure: Figure) -> None:
    figures[figure.name] = figure


def add_panel(panel: Panel) -> None:
    panels[panel.name] = panel


def add_hit(hit: Hit) -> None:
    hits[hit.name] = hit

"""Parameters of flows and tasks against their type hints."""

from __future__ import annotations

import enum
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import (
    Annotated,
    Any,
    Literal,
    NamedTuple,
    NewType,
    NotRequired,
    Optional,
    Protocol,
    TypedDict,
    TypeVar,
    Union,
)
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dagy import ParameterError, RunContext, TaskFailedError, flow, task
from dagy.hints import Mismatch, fit
from dagy.parameters import Signature


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@dataclass
class Order:
    id: int
    price: float = 0.0


class Point(NamedTuple):
    x: int
    y: int


class Row(TypedDict):
    id: int
    note: NotRequired[str]


class Sized(Protocol):
    def __len__(self) -> int: ...


CustomerId = NewType("CustomerId", str)
Bound = TypeVar("Bound", bound=int)


@pytest.mark.parametrize(
    ("hint", "value", "expected"),
    [
        (int, 3, 3),
        (float, 3, 3.0),
        (str, "a", "a"),
        (bytes, b"a", b"a"),
        (bool, True, True),
        (None, None, None),
        (Any, object, object),
        (Optional[int], None, None),  # noqa: UP045
        (int | None, 5, 5),
        (Union[int, str], "x", "x"),  # noqa: UP007
        (int | float, 3, 3),
        (date | str, "2026-01-15", "2026-01-15"),
        (date | None, "2026-01-15", date(2026, 1, 15)),
        (list[int], [1, 2], [1, 2]),
        (list[float], [1, 2.5], [1.0, 2.5]),
        (tuple[int, str], [1, "a"], (1, "a")),
        (tuple[int, ...], [1, 2, 3], (1, 2, 3)),
        (set[int], [1, 2, 2], {1, 2}),
        (frozenset[str], ["a"], frozenset("a")),
        (dict[str, list[int]], {"a": [1]}, {"a": [1]}),
        (dict[int, str], {"3": "a"}, {3: "a"}),
        (Mapping[str, int], {"a": 1}, {"a": 1}),
        (Sequence[int], (1, 2), (1, 2)),
        (Literal["a", 1], 1, 1),
        (Annotated[int, "positive"], 3, 3),
        (Colour, "red", Colour.RED),
        (Colour, "BLUE", Colour.BLUE),
        (Colour, Colour.RED, Colour.RED),
        (Order, {"id": 1, "price": 2}, Order(1, 2.0)),
        (list[Order], [{"id": 1}], [Order(1)]),
        (Point, [1, 2], Point(1, 2)),
        (Row, {"id": 1}, {"id": 1}),
        (date, "2026-01-15", date(2026, 1, 15)),
        (datetime, "2026-01-15T10:30:00+00:00", datetime.fromisoformat("2026-01-15T10:30:00+00:00")),
        (UUID, "12345678123456781234567812345678", UUID("12345678-1234-5678-1234-567812345678")),
        (Decimal, "1.50", Decimal("1.50")),
        (Path, "/data", Path("/data")),
        (CustomerId, "c1", "c1"),
        (Bound, 3, 3),
        (type[Order], Order, Order),
        (Callable[[int], int], len, len),
        (Sized, "anything", "anything"),
        ("Unresolvable", 1, 1),
    ],
)
def test_what_fits_passes_and_what_json_has_no_type_for_is_converted(hint: Any, value: Any, expected: Any) -> None:
    fitted = fit(value, hint, "")
    assert (fitted, type(fitted)) == (expected, type(expected))


@pytest.mark.parametrize(
    ("hint", "value", "problem"),
    [
        (int, "3", "expected int, got str '3'"),
        (int, True, "expected int, got bool True"),
        (int, 3.0, "expected int, got float 3.0"),
        (float, None, "expected float, got None"),
        (bool, 1, "expected bool, got int 1"),
        (str, 5, "expected str, got int 5"),
        (list[int], "123", "expected list[int], got str '123'"),
        (list[int], [1, "2"], "at [1] expected int, got str '2'"),
        (dict[str, list[Order]], {"a": [{"id": "x"}]}, "at ['a'][0]['id'] expected int, got str 'x'"),
        (tuple[int, int], [1], "expected 2 items, got 1"),
        (Literal["a", "b"], "c", "expected one of 'a', 'b', got str 'c'"),
        (Colour, "green", "expected one of 'red', 'blue', got str 'green'"),
        (Order, {"id": 1, "prize": 2}, "is no Order: 'prize' is unknown"),
        (Order, {}, "is no Order: 'id' is missing"),
        (Row, {"note": 1}, "is no Row: 'id' is missing"),
        (Point, [1], "expected 2 items (x, y), got 1"),
        (date, "tomorrow", "expected a date such as 2026-01-15, got str 'tomorrow'"),
        (UUID, "x", "expected a UUID, got str 'x'"),
        (int | None, "x", "expected int, got str 'x'"),
        (int | date, "x", "expected int | date, got str 'x'"),
        (Sequence[str], "abc", "expected Sequence[str], got str 'abc'"),
        (str, ["x" * 500], "expected str, got list ['" + "x" * 57 + "…"),
    ],
)
def test_what_does_not_fit_says_where_and_what_was_expected(hint: Any, value: Any, problem: str) -> None:
    with pytest.raises(Mismatch) as caught:
        fit(value, hint, "")
    assert str(caught.value) == problem


def test_values_that_nest_without_end_are_refused() -> None:
    circle: list[Any] = []
    circle.append(circle)
    nested: Any = list[Any]
    for _ in range(150):
        nested = list[nested]
    with pytest.raises(Mismatch, match="nested more than 100 levels"):
        fit(circle, nested, "")


def test_iterators_are_not_consumed() -> None:
    items = iter([1, 2])
    assert fit(items, Any, "") is items
    assert list(items) == [1, 2]


PAIRS = st.one_of(
    *(
        values.map(lambda value, hint=hint: (hint, value))
        for hint, values in {
            int: st.integers(),
            float: st.floats(allow_nan=False),
            str: st.text(),
            bool: st.booleans(),
            list[int]: st.lists(st.integers()),
            dict[str, list[bool]]: st.dictionaries(st.text(), st.lists(st.booleans())),
            tuple[int, str]: st.tuples(st.integers(), st.text()),
            dict[int, str]: st.dictionaries(st.integers(), st.text()),
            int | str | None: st.one_of(st.none(), st.integers(), st.text()),
        }.items()
    )
)


@settings(max_examples=200, deadline=None)
@given(PAIRS)
def test_values_of_a_hint_fit_and_do_so_again_after_json(pair: tuple[Any, Any]) -> None:
    hint, value = pair
    assert fit(value, hint, "") is value
    assert fit(json.loads(json.dumps(value)), hint, "") == value


# --- binding


def takes(day: str, /, region: str = "eu", *rows: int, limit: int = 10, **tags: str) -> None: ...


def test_arguments_are_bound_by_name_and_called_back() -> None:
    signature = Signature.of(takes)
    bound = signature.bind(("mon", "us", 1, 2), {"limit": 3, "colour": "red"})
    assert bound == {"day": "mon", "region": "us", "rows": (1, 2), "limit": 3, "tags": {"colour": "red"}}
    assert signature.call_arguments(bound) == (["mon", "us", 1, 2], {"limit": 3, "colour": "red"})
    assert signature.bind(("mon",), {}) == {"day": "mon", "region": "eu", "rows": (), "limit": 10, "tags": {}}


def test_what_can_not_be_bound_names_every_problem() -> None:
    def export(day: str, region: str, limit: int = 1) -> None: ...

    signature = Signature.of(export)
    with pytest.raises(ParameterError) as caught:
        signature.bind((), {"dai": "mon", "x": 1, "limit": 2})
    assert caught.value.errors == {
        "day": "is missing",
        "region": "is missing",
        "dai": "is unknown (did you mean 'day'?)",
        "x": "is unknown",
    }
    assert str(caught.value).startswith(
        "export(day, region, limit) can't be called with these parameters. day: is missing; "
    )
    with pytest.raises(ParameterError, match="4 were given by position, 3 are taken"):
        signature.bind((1, 2, 3, 4), {})
    with pytest.raises(ParameterError, match="day: was given twice"):
        signature.bind(("a", "b"), {"day": "c"})


def test_the_context_is_given_and_not_asked_for() -> None:
    def wants(n: int, context: RunContext) -> None: ...

    signature = Signature.of(wants)
    assert signature.names == ["n"]
    values = signature.bind((1,), {})
    assert signature.call_arguments(values, {"RunContext": "it"}) == ([], {"n": 1, "context": "it"})


def test_typed_texts_are_json_or_text_as_the_hint_says() -> None:
    def run(day: str, count: int, rows: list[int], when: date, name: Any = None) -> None: ...

    signature = Signature.of(run)
    typed = {"day": "2026", "count": "3", "rows": "[1, 2]", "when": "2026-01-15", "name": "plain"}
    values = signature.parse(typed)
    assert values == {"day": "2026", "count": 3, "rows": [1, 2], "when": "2026-01-15", "name": "plain"}
    assert signature.validate(values)["when"] == date(2026, 1, 15)


# --- flows and tasks


def test_a_flow_refuses_wrong_parameters_before_anything_is_written(local_dir: Path) -> None:
    @flow
    def nightly(day: date, rows: int = 10) -> None: ...

    with pytest.raises(ParameterError) as caught:
        nightly.run_local(day="yesterday", rows="many")
    assert set(caught.value.errors) == {"day", "rows"}
    with pytest.raises(ParameterError, match="dya: is unknown"):
        nightly.run_local(dya="2026-01-15")
    assert not local_dir.exists()


def test_a_task_is_given_what_its_hints_say_and_fails_otherwise() -> None:
    @task
    def rows() -> list[dict[str, Any]]:
        return [{"id": 1, "price": 2}, {"id": 2, "price": "x"}]

    @task
    def load(orders: list[Order]) -> int:
        return len(orders)

    with pytest.raises(TaskFailedError, match=r"orders: at \[1\]\['price'\] expected float, got str 'x'"):
        flow(lambda: load(rows()), name="typed").run_local()
    unchecked = load.with_options(validate_parameters=False)
    assert flow(lambda: unchecked(rows()), name="unchecked").run_local().value == 2


def test_wrong_arguments_of_a_task_are_told_where_it_is_called() -> None:
    @task
    def load(orders: list[int]) -> None: ...

    with pytest.raises(ParameterError, match=r"load.orders. can't be called.*order: is unknown .did you mean 'orders'"):
        flow(lambda: load(order=[1]), name="mistyped").run_local()  # type: ignore[call-arg]

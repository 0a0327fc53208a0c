"""What a flow's function may do, and the graph that comes of it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

from dagy import DependencyCycleError, Flow, ParameterError, RunContext, Task, TaskOutput, flow, task
from dagy.errors import OutsideFlowError


@task
def one() -> int:
    return 1


@task
def add(a: int, b: int = 0) -> int:
    return a + b


def edges(made: Flow[Any, Any], **parameters: Any) -> dict[str, list[str]]:
    return {task_id: list(node.upstream) for task_id, node in made.graph(**parameters).nodes.items()}


def test_decorators_work_bare_and_with_options() -> None:
    @task(name="Get it", retries=2)
    def extract() -> int:
        "Fetch."
        return 1

    @flow(name="Nightly", version="3")
    def nightly() -> None:
        extract()

    assert isinstance(one, Task)
    assert (one.name, extract.name, extract.retries, extract.__doc__) == ("one", "Get it", 2, "Fetch.")
    assert isinstance(nightly, Flow)
    assert (nightly.name, nightly.version) == ("Nightly", "3")
    assert edges(nightly) == {"Get-it": []}


def test_passing_an_output_makes_an_edge_at_any_depth() -> None:
    @dataclass
    class Pair:
        left: object
        right: int

    taken: list[Any] = []

    @task
    def take(*args: object, **kwargs: object) -> None:
        taken.extend([args, kwargs])

    @flow
    def nested() -> Any:
        a, b, c, d = one(), one(), one(), one()
        return take([{"deep": (a, {"x": [b]})}], 5, key=Pair(c, 2), other={d})

    assert edges(nested)["take"] == ["one", "one-2", "one-3", "one-4"]
    nested.run_local()
    args, kwargs = taken
    assert args == ([{"deep": (1, {"x": [1]})}], 5)
    assert kwargs == {"key": Pair(1, 2), "other": {1}}


def test_parts_of_an_output_can_be_passed_on() -> None:
    @task
    def row() -> dict[str, list[int]]:
        return {"numbers": [3, 4]}

    @flow
    def parts() -> Any:
        return add(row()["numbers"][1], 1)

    assert parts.run_local().value == 5


def test_what_is_changed_after_a_call_does_not_change_the_call() -> None:
    @flow
    def changed() -> Any:
        numbers: list[Any] = [one()]
        total = summed(numbers)
        numbers.append(one())
        return total

    @task
    def summed(numbers: list[int]) -> int:
        return sum(numbers)

    assert changed.run_local().value == 1


def test_wait_for_makes_an_edge_without_a_value() -> None:
    @flow
    def waits() -> None:
        first = one()
        second = add(1)
        add(2, wait_for=[first, [second]])

    assert edges(waits)["add-2"] == ["one", "add"]
    with pytest.raises(ParameterError, match=r"wait_for of task 'add'.*expected outputs of tasks, got str"):
        flow(lambda: add(2, wait_for=["one"]), name="wrong").run_local()


def test_a_cycle_is_named_and_nothing_runs(tmp_path: Any) -> None:
    ran = []

    @task
    def step(name: str, _after: object = None) -> str:
        ran.append(name)
        return name

    @flow
    def cyclic() -> None:
        a: Any = step.with_options(name="a")("a")
        b: Any = step.with_options(name="b")("b", a)
        c = step.with_options(name="c")("c", b)
        a.depends_on(c)

    with pytest.raises(DependencyCycleError, match="a -> b -> c -> a") as caught:
        cyclic.run_local(fail_fast=False)
    assert caught.value.cycle == ["a", "b", "c", "a"]
    assert ran == []
    with pytest.raises(DependencyCycleError):
        cyclic.graph()


def test_a_task_that_waits_for_itself_is_a_cycle() -> None:
    @flow
    def alone() -> None:
        a: Any = one()
        a.depends_on(a)

    with pytest.raises(DependencyCycleError, match="one -> one"):
        alone.run_local()


def test_a_task_called_outside_a_flow_says_what_to_do() -> None:
    with pytest.raises(OutsideFlowError, match=r"Task 'one' was called outside a flow.*run_local\(\).*one\.fn"):
        one()
    assert one.fn() == 1

    @task
    def calls_another() -> int:
        return one()

    result = flow(lambda: calls_another(), name="inner").run_local(fail_fast=False)
    assert "called outside a flow" in result.failure["message"]


def test_a_flow_called_outside_a_flow_says_what_to_do() -> None:
    @flow
    def lonely() -> None: ...

    with pytest.raises(OutsideFlowError, match=r"lonely\.run_local"):
        lonely()


def test_a_flow_called_in_a_flow_adds_its_tasks() -> None:
    @flow
    def inner(n: int) -> int:
        return add(n, one())

    @flow
    def outer() -> int:
        return add(inner(2), inner(3))

    assert edges(outer) == {"one": [], "add": ["one"], "one-2": [], "add-2": ["one-2"], "add-3": ["add", "add-2"]}
    assert outer.run_local().value == 7


def test_an_output_can_not_be_looked_at_while_the_flow_is_built() -> None:
    @flow
    def looks() -> None:
        if one():
            add(1)

    with pytest.raises(OutsideFlowError, match="Task 'one' has not run yet"):
        looks.run_local()
    with pytest.raises(OutsideFlowError, match="has not run yet"):
        flow(lambda: list(one()), name="loops").run_local()
    with pytest.raises(OutsideFlowError, match="has not run yet"):
        flow(lambda: one() + 1, name="adds").run_local()


def test_an_output_of_another_run_is_refused() -> None:
    kept: list[Any] = []
    flow(lambda: kept.append(one()), name="first").run_local()
    assert isinstance(kept[0], TaskOutput)
    with pytest.raises(OutsideFlowError, match="of another run"):
        flow(lambda: add(kept[0]), name="second").run_local()


def test_map_calls_a_task_for_each_item() -> None:
    @flow
    def mapped(items: list[int]) -> Any:
        return add.map(items, [10, 20, 30])

    assert mapped.run_local(items=[1, 2, 3]).value == [11, 22, 33]
    assert flow(lambda: add.map([1, 2], b=one()), name="constant").run_local().value == [2, 3]
    with pytest.raises(ValueError, match="is longer than"):
        mapped.run_local(items=[1])
    with pytest.raises(OutsideFlowError, match="known while the flow is built"):
        flow(lambda: add.map(one()), name="over an output").run_local()


def test_async_functions_are_tasks_and_flows() -> None:
    @task
    async def wait(seconds: float) -> float:
        await asyncio.sleep(seconds)
        return seconds

    @flow
    async def all_async() -> Any:
        await asyncio.sleep(0)
        return [wait(0.01), wait(0.02)]

    async def inside_a_loop() -> Any:
        return all_async.run_local().value

    assert all_async.run_local().value == [0.01, 0.02]
    assert asyncio.run(inside_a_loop()) == [0.01, 0.02]


def test_names_become_ids_that_any_file_system_takes(local_dir: Any) -> None:
    @flow(name="../evil/flow")
    def odd() -> None:
        for name in ("../../etc/passwd", "..", "a/b", "A/B", "load", "load-2", "load", "ü" * 300, "x" * 300):
            one.with_options(name=name)()

    ids = list(odd.graph().nodes)
    assert ids == ["etc-passwd", "task", "a-b", "A-B-2", "load", "load-2", "load-3", "task-2", "x" * 80]
    result = odd.run_local()
    written = {path.name for path in (local_dir / "runs" / result.run_id / "task_runs").iterdir()}
    assert written == set(ids)
    assert result.task_runs["etc-passwd"].name == "../../etc/passwd"


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"retries": -1}, "retries must be"),
        ({"retries": True}, "retries must be"),
        ({"timeout_seconds": 0}, "timeout_seconds must be more than 0"),
        ({"concurrency_limit": 0}, "concurrency_limit must be"),
        ({"retry_delay_seconds": [1, -1]}, "retry_delay_seconds must be"),
        ({"retry_delay_seconds": []}, "retry_delay_seconds must be"),
        ({"retry_jitter_factor": -0.1}, "retry_jitter_factor must not"),
        ({"isolation": "container"}, "isolation must be one of thread, process"),
        ({"name": " "}, "name must be a text"),
    ],
)
def test_a_wrong_option_is_told_where_the_task_is_made(options: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=f"Task .*{problem}"):
        task(**options)(lambda: 1)


def test_an_option_of_run_local_can_not_be_a_parameter() -> None:
    with pytest.raises(ValueError, match="'max_workers', which is an option of run_local"):

        @flow
        def taken(max_workers: int) -> None: ...


def test_partials_and_callables_are_tasks() -> None:
    class Doubler:
        def __call__(self, n: int) -> int:
            return n * 2

    @flow
    def callables() -> Any:
        return [task(partial(add.fn, 1))(b=2), task(Doubler())(4)]

    result = callables.run_local()
    assert result.value == [3, 8]
    assert list(result.task_runs) == ["add", "Doubler"]


def test_the_context_is_in_reach_of_tasks_and_flows() -> None:
    @task
    def who(context: RunContext, n: int) -> list[Any]:
        same = RunContext.current()
        return [context is same, context.run_id, context.task_id, context.attempt, context.flow_name, context.cancelled]

    @flow
    def named() -> Any:
        assert RunContext.current().task_id is None
        return who(n=1)

    result = named.run_local()
    assert result.value == [True, result.run_id, "who", 1, "named", False]
    with pytest.raises(OutsideFlowError, match="no RunContext here"):
        RunContext.current()


def test_a_flow_inside_a_task_is_a_run_of_its_own() -> None:
    @task
    def runs_another() -> Any:
        inner = flow(lambda: one(), name="inner").run_local()
        return [inner.run_id, inner.value, RunContext.current().task_id]

    result = flow(lambda: runs_another(), name="outer").run_local()
    run_id, value, task_id = result.value
    assert (value, task_id) == (1, "runs_another")
    assert run_id != result.run_id

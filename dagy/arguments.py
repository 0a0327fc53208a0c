"""Outputs inside of arguments: found at any depth when a task is called, replaced by their values when it runs."""

from __future__ import annotations

from typing import Any

from dagy.errors import ParameterError
from dagy.outputs import TaskOutput

_DEPTH = 200
_CONTAINERS = (list, tuple, dict, set, frozenset)


def snapshot(arguments: dict[str, Any]) -> tuple[dict[str, Any], list[Any]]:
    """The arguments and the outputs in them. Containers that hold outputs are copied: later changes don't matter."""
    found: list[Any] = []

    def keep(output: Any) -> Any:
        found.append(output)
        return TaskOutput(output.node, output.path)  # another object, so that what holds it is copied

    return {name: _replaced(value, keep, name) for name, value in arguments.items()}, found


def resolve(arguments: dict[str, Any], outputs: dict[str, Any]) -> dict[str, Any]:
    """The arguments with each output replaced by its value in `outputs` (by task id)."""

    def value_of(output: Any) -> Any:
        value = outputs[output.task_id]
        for key in output.path:
            value = value[key]
        return value

    return {name: _replaced(value, value_of, name) for name, value in arguments.items()}


def resolve_value(value: Any, outputs: dict[str, Any]) -> Any:
    """What a flow returns, with its outputs replaced; those that have none become None."""
    return _replaced(
        value, lambda output: resolve({"": output}, outputs)[""] if output.task_id in outputs else None, "result"
    )


def outputs_in(value: Any, where: str) -> list[Any]:
    """The outputs in a value, and nothing else but containers of them."""
    if isinstance(value, TaskOutput):
        return [value]
    if isinstance(value, (list, tuple, set, frozenset)):
        return [output for item in value for output in outputs_in(item, where)]
    raise ParameterError(where, {"wait_for": f"expected outputs of tasks, got {type(value).__name__}"})


def _replaced(value: Any, replace: Any, where: str, depth: int = 0) -> Any:
    if isinstance(value, TaskOutput):
        return replace(value)
    if type(value) in (str, int, float, bool, bytes, type(None)):
        return value
    is_record = hasattr(type(value), "__dataclass_fields__") and not isinstance(value, type)
    if not isinstance(value, _CONTAINERS) and not is_record:
        return value
    if depth >= _DEPTH:
        raise ParameterError("A task", {where: f"is nested more than {_DEPTH} levels deep (or contains itself)"})
    if is_record:
        return _record_replaced(value, replace, where, depth)
    return _container_replaced(value, replace, where, depth)


def _container_replaced(value: Any, replace: Any, where: str, depth: int) -> Any:
    if isinstance(value, dict):
        changed = {
            _replaced(key, replace, where, depth + 1): _replaced(item, replace, where, depth + 1)
            for key, item in value.items()
        }
        same = all(a is b and changed[a] is value[b] for a, b in zip(changed, value, strict=False))
        return value if same and len(changed) == len(value) else changed
    items = [_replaced(item, replace, where, depth + 1) for item in value]
    if all(a is b for a, b in zip(items, value, strict=True)):
        return value
    if hasattr(value, "_make"):
        return value._make(items)
    return type(value)(items)


def _record_replaced(value: Any, replace: Any, where: str, depth: int) -> Any:
    fields = {name: getattr(value, name) for name in value.__dataclass_fields__ if hasattr(value, name)}
    changed = {name: _replaced(item, replace, where, depth + 1) for name, item in fields.items()}
    if all(changed[name] is fields[name] for name in fields):
        return value
    from copy import copy

    twin = copy(value)
    for name, item in changed.items():
        object.__setattr__(twin, name, item)
    return twin

"""Values against type hints. What fits passes as it is; what JSON has no type for is converted.

Converted: lists to tuples and sets, whole numbers to floats, texts to dates, times, UUIDs, Decimals, Paths and members
of enums, dicts to dataclasses. Nothing else: "3" is no number. Hints that can't be resolved, and type variables, take
anything; iterators are never consumed.
"""

from __future__ import annotations

import collections.abc
import dataclasses
import enum
import json
import sys
import types
import typing
from datetime import date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Literal, Union
from uuid import UUID

if TYPE_CHECKING:
    from collections.abc import Callable

_DEPTH = 100
_LENGTH = 60


class Mismatch(Exception):
    """A value that does not fit, and where in it."""


def resolved(hint: Any, fn: Callable[..., Any]) -> Any:
    """A hint that is a text, as with `from __future__ import annotations`, as what it names; the text itself where it
    can't be found."""
    if not isinstance(hint, str):
        return hint
    while hasattr(fn, "func"):
        fn = fn.func
    fn = getattr(fn, "__wrapped__", fn)
    names = dict(getattr(fn, "__globals__", {}))
    cells = zip(
        getattr(getattr(fn, "__code__", None), "co_freevars", ()), getattr(fn, "__closure__", None) or (), strict=False
    )
    for name, cell in cells:
        try:
            names[name] = cell.cell_contents
        except ValueError:  # not assigned yet
            continue
    try:
        return eval(hint, names)  # noqa: S307 (as typing.get_type_hints does: it is the code's own)
    except Exception:  # noqa: BLE001
        return hint


def fit(value: Any, hint: Any, where: str, depth: int = 0) -> Any:
    """The value, converted where needed. `where` is its place in the argument (`[3]['price']`). Raises Mismatch."""
    if depth > _DEPTH:
        raise Mismatch(f"{where or 'it'} is nested more than {_DEPTH} levels deep")
    if hint is Any or hint is object or isinstance(hint, (str, typing.ForwardRef)):
        return value
    if hint is None or hint is type(None):
        return value if value is None else _refuse(value, "None", where)
    origin = typing.get_origin(hint)
    if origin is not None:
        return _fit_generic(value, hint, origin, where, depth)
    if isinstance(hint, type):
        return _fit_class(value, hint, where, depth)
    if isinstance(hint, typing.NewType):
        return fit(value, hint.__supertype__, where, depth + 1)
    if isinstance(hint, typing.TypeVar):
        return fit(value, hint.__bound__, where, depth + 1) if hint.__bound__ is not None else value
    alias = getattr(hint, "__value__", None)  # type X = … of Python 3.12
    return value if alias is None else fit(value, alias, where, depth + 1)


def parse_text(text: str, hint: Any) -> Any:
    """What was typed for a parameter: a text where the hint says text, else JSON where it is any, else the text."""
    if hint is str:
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def name_of(hint: Any) -> str:
    if isinstance(hint, type) and typing.get_origin(hint) is None:
        return "None" if hint is type(None) else hint.__qualname__
    if typing.get_origin(hint) in (Union, types.UnionType):
        return " | ".join(map(name_of, typing.get_args(hint)))
    return str(hint).replace("typing.", "").replace("collections.abc.", "")


# --- generic hints


def _fit_generic(value: Any, hint: Any, origin: Any, where: str, depth: int) -> Any:
    arguments = typing.get_args(hint)
    if origin in (Union, types.UnionType):
        return _fit_union(value, hint, arguments, where, depth)
    if origin is Literal:
        return _fit_literal(value, hint, arguments, where)
    if origin is typing.Annotated:
        return fit(value, arguments[0], where, depth + 1)
    if origin is tuple:
        return _fit_tuple(value, hint, arguments, where, depth)
    if origin in (list, set, frozenset):
        return _fit_items(value, hint, origin, arguments, where, depth)
    if isinstance(origin, type) and issubclass(origin, collections.abc.Mapping):
        return _fit_mapping(value, hint, arguments, where, depth)
    if origin in (collections.abc.Sequence, collections.abc.Collection):
        return _fit_sequence(value, hint, origin, arguments, where, depth)
    if origin is type:
        return value if isinstance(value, type) else _refuse(value, name_of(hint), where)
    if origin is collections.abc.Callable:
        return value if callable(value) else _refuse(value, "a callable", where)
    return _is_instance(value, origin, hint, where)


def _fit_union(value: Any, hint: Any, arguments: tuple[Any, ...], where: str, depth: int) -> Any:
    """The first that fits; one that takes the value as it is comes before one that would convert it."""
    found: list[Any] = []
    problems: list[Mismatch] = []
    for argument in arguments:
        try:
            fitted = fit(value, argument, where, depth + 1)
        except Mismatch as problem:
            problems += [problem] if argument is not type(None) else []
            continue
        if fitted is value:
            return value
        found.append(fitted)
    if not found and len(problems) == 1:  # X | None: what X says knows more
        raise problems[0]
    return found[0] if found else _refuse(value, name_of(hint), where)


def _fit_literal(value: Any, hint: Any, arguments: tuple[Any, ...], where: str) -> Any:
    for argument in arguments:
        if value == argument and type(value) is type(argument):
            return value
    return _refuse(value, f"one of {', '.join(map(repr, arguments))}", where)


def _fit_tuple(value: Any, hint: Any, arguments: tuple[Any, ...], where: str, depth: int) -> Any:
    if not isinstance(value, (tuple, list)):
        _refuse(value, name_of(hint), where)
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        return _same_or(value, tuple(fit(v, arguments[0], f"{where}[{i}]", depth + 1) for i, v in enumerate(value)))
    wanted = () if arguments == ((),) else arguments
    if len(value) != len(wanted):
        raise Mismatch(_at(where) + f"expected {len(wanted)} items, got {len(value)}")
    items = [fit(v, a, f"{where}[{i}]", depth + 1) for i, (v, a) in enumerate(zip(value, wanted, strict=True))]
    return _same_or(value, tuple(items))


def _fit_items(value: Any, hint: Any, origin: type, arguments: tuple[Any, ...], where: str, depth: int) -> Any:
    takes = (list,) if origin is list else (list, tuple, set, frozenset)
    if not isinstance(value, takes):
        _refuse(value, name_of(hint), where)
    item_hint = arguments[0] if arguments else Any
    items = [fit(item, item_hint, f"{where}[{i}]", depth + 1) for i, item in enumerate(value)]
    return _same_or(value, origin(items))


def _fit_sequence(value: Any, hint: Any, origin: type, arguments: tuple[Any, ...], where: str, depth: int) -> Any:
    if isinstance(value, (str, bytes)) or not isinstance(value, origin):
        _refuse(value, name_of(hint), where)
    if not isinstance(value, (list, tuple)):
        return value
    items = [fit(item, arguments[0], f"{where}[{i}]", depth + 1) for i, item in enumerate(value)]
    return _same_or(value, type(value)(items) if type(value) in (list, tuple) else value)


def _fit_mapping(value: Any, hint: Any, arguments: tuple[Any, ...], where: str, depth: int) -> Any:
    if not isinstance(value, collections.abc.Mapping):
        _refuse(value, name_of(hint), where)
    key_hint, item_hint = arguments if len(arguments) == 2 else (Any, Any)
    fitted = {
        _fit_key(key, key_hint, where, depth): fit(item, item_hint, f"{where}[{key!r}]", depth + 1)
        for key, item in value.items()
    }
    same = all(a is b and fitted[a] is value[b] for a, b in zip(fitted, value, strict=False))
    return value if same and len(fitted) == len(value) else fitted


def _fit_key(key: Any, hint: Any, where: str, depth: int) -> Any:
    """JSON has only texts for keys: `{"3": …}` fits `dict[int, …]`."""
    try:
        return fit(key, hint, f"{where} key", depth + 1)
    except Mismatch:
        if hint in (int, float) and isinstance(key, str):
            return fit(parse_text(key, hint), hint, f"{where} key", depth + 1)
        raise


# --- classes


def _fit_class(value: Any, hint: type, where: str, depth: int) -> Any:
    if hint in (int, float) and isinstance(value, bool):
        _refuse(value, hint.__name__, where)
    if hint is float and isinstance(value, int):
        return float(value) if abs(value) < 2**1023 else _refuse(value, "a float", where)
    if typing.is_typeddict(hint):
        return _fit_typed_dict(value, hint, where, depth)
    if hint is not datetime and issubclass(hint, date) and isinstance(value, datetime):
        _refuse(value, hint.__name__, where)
    if _is_plainly(value, hint):
        return value
    converted = _converted(value, hint, where, depth)
    return _is_instance(value, hint, hint, where) if converted is None else converted


def _is_plainly(value: Any, hint: type) -> bool:
    try:
        return isinstance(value, hint)
    except TypeError:  # a protocol that can't be checked
        return True


def _converted(value: Any, hint: type, where: str, depth: int) -> Any:
    """None where there is no conversion."""
    if issubclass(hint, enum.Enum):
        return _member(value, hint, where)
    if dataclasses.is_dataclass(hint) and isinstance(value, dict):
        return _record(value, hint, where, depth)
    if hasattr(hint, "_fields") and issubclass(hint, tuple) and isinstance(value, (list, tuple)):
        return _named_tuple(value, hint, where, depth)
    if issubclass(hint, (tuple, set, frozenset)) and isinstance(value, list) and hint in (tuple, set, frozenset):
        return hint(value)
    if isinstance(value, (str, int, float)) and not isinstance(value, bool):
        return _from_text(value, hint, where)
    return None


def _from_text(value: str | float, hint: type, where: str) -> Any:
    if issubclass(hint, Decimal) and not isinstance(value, float):
        makers: Any = hint
    elif isinstance(value, str):
        makers = _TEXTS.get(hint) or (hint if issubclass(hint, (UUID, PurePath)) else None)
    elif hint is timedelta:
        makers = _seconds
    else:
        makers = None
    if makers is None:
        return None
    try:
        return makers(value)
    except (ValueError, InvalidOperation, OverflowError):
        return _refuse(value, _EXAMPLES.get(hint, f"a {hint.__name__}"), where)


def _seconds(value: float) -> timedelta:
    return timedelta(seconds=value)


_TEXTS: dict[type, Any] = {datetime: datetime.fromisoformat, date: date.fromisoformat, time: time.fromisoformat}
_EXAMPLES = {
    datetime: "a date and time such as 2026-01-15T10:30:00+00:00",
    date: "a date such as 2026-01-15",
    time: "a time such as 10:30",
    UUID: "a UUID",
    Decimal: "a number",
}


def _member(value: Any, hint: type[enum.Enum], where: str) -> Any:
    try:
        return hint(value)
    except ValueError:
        if isinstance(value, str) and value in hint.__members__:
            return hint[value]
        return _refuse(value, f"one of {', '.join(repr(member.value) for member in hint)}", where)


def _record(value: dict[str, Any], hint: Any, where: str, depth: int) -> Any:
    fields = {field.name: field for field in dataclasses.fields(hint) if field.init}
    hints = _hints_of_class(hint)
    unknown = [name for name in value if name not in fields]
    needed = [
        name
        for name, field in fields.items()
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING and name not in value
    ]
    _refuse_keys(hint, unknown, needed, where)
    try:
        return hint(**{k: fit(v, hints.get(k, Any), f"{where}[{k!r}]", depth + 1) for k, v in value.items()})
    except (TypeError, ValueError) as error:
        raise Mismatch(_at(where) + f"is no {hint.__qualname__}: {error}") from None


def _named_tuple(value: Any, hint: Any, where: str, depth: int) -> Any:
    if len(value) != len(hint._fields):
        raise Mismatch(_at(where) + f"expected {len(hint._fields)} items ({', '.join(hint._fields)}), got {len(value)}")
    hints = _hints_of_class(hint)
    pairs = zip(hint._fields, value, strict=True)
    return hint(*(fit(item, hints.get(name, Any), f"{where}[{name!r}]", depth + 1) for name, item in pairs))


def _fit_typed_dict(value: Any, hint: Any, where: str, depth: int) -> Any:
    if not isinstance(value, dict):
        _refuse(value, hint.__qualname__, where)
    hints = _hints_of_class(hint)
    # What is quoted, as by `from __future__ import annotations`, Python 3.11 counts as required.
    optional = {key for key, item in hints.items() if typing.get_origin(item) is typing.NotRequired}
    _refuse_keys(
        hint,
        [key for key in value if key not in hint.__required_keys__ | hint.__optional_keys__],
        [key for key in hint.__required_keys__ if key not in value and key not in optional],
        where,
    )
    fitted = {
        key: fit(item, _unwrapped(hints.get(key, Any)), f"{where}[{key!r}]", depth + 1) for key, item in value.items()
    }
    return value if all(fitted[key] is value[key] for key in value) else fitted


def _unwrapped(hint: Any) -> Any:
    """`Required[X]` and `NotRequired[X]` without their word."""
    return typing.get_args(hint)[0] if typing.get_origin(hint) in (typing.Required, typing.NotRequired) else hint


def _hints_of_class(hint: Any) -> dict[str, Any]:
    try:
        return typing.get_type_hints(hint, vars(sys.modules.get(hint.__module__, types)), include_extras=True)
    except Exception:  # noqa: BLE001
        return {}


def _refuse_keys(hint: Any, unknown: list[str], missing: list[str], where: str) -> None:
    problems = [f"{key!r} is unknown" for key in unknown] + [f"{key!r} is missing" for key in missing]
    if problems:
        raise Mismatch(_at(where) + f"is no {hint.__qualname__}: {', '.join(problems)}")


def _is_instance(value: Any, cls: Any, hint: Any, where: str) -> Any:
    try:
        fits = isinstance(value, cls)
    except TypeError:
        return value
    return value if fits else _refuse(value, name_of(hint), where)


# --- words


def _refuse(value: Any, expected: str, where: str) -> Any:
    raise Mismatch(f"{_at(where)}expected {expected}, got {_described(value)}")


def _at(where: str) -> str:
    return f"at {where} " if where else ""


def _described(value: Any) -> str:
    if value is None:
        return "None"
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001
        return type(value).__qualname__
    if len(text) > _LENGTH:
        text = text[: _LENGTH - 1] + "…"
    return f"{type(value).__qualname__} {text}"


def _same_or(value: Any, fitted: Any) -> Any:
    """The value itself where nothing was converted, so that a large list is not copied for each that reads it."""
    if type(value) is type(fitted) and len(value) == len(fitted):
        same = value == fitted if isinstance(value, (set, frozenset)) else all(map(_is, value, fitted))
        return value if same else fitted
    return fitted


def _is(a: Any, b: Any) -> bool:
    return a is b

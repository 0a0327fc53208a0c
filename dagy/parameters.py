"""What a flow's or task's function takes: arguments are bound by name, and checked against the type hints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dagy.errors import ParameterError

if TYPE_CHECKING:
    import inspect
    from collections.abc import Callable

_NONE = object()
CONTEXT = "RunContext"
"""A parameter annotated with it is given the context by the engine; callers don't see it."""


class Signature:
    """Of one function. `injected` names the parameters that are given the RunContext."""

    def __init__(self, fn: Callable[..., Any]) -> None:
        self._fn = fn
        self._subject = getattr(fn, "__name__", type(fn).__name__)
        self._takes_nothing = _takes_nothing(fn)
        self._parameters: dict[str, inspect.Parameter] = {}
        self._hints: dict[str, Any] = {}
        self._checked: dict[str, Any] = {}
        if not self._takes_nothing:
            self._read()
        self.injected = frozenset(name for name, hint in self._hints.items() if _is_context(hint))
        self._has_names_only = all(p.kind is p.POSITIONAL_OR_KEYWORD for p in self._parameters.values())

    @classmethod
    def of(cls, fn: Callable[..., Any]) -> Signature:
        return cls(fn)

    @property
    def names(self) -> list[str]:
        """Of the parameters that callers give."""
        return [name for name in self._parameters if name not in self.injected]

    def required(self) -> list[str]:
        return [
            name
            for name in self.names
            if self._parameters[name].default is self._parameters[name].empty
            and self._parameters[name].kind not in (2, 4)  # *args and **kwargs
        ]

    def described(self) -> list[dict[str, Any]]:
        """Each parameter that callers give: `name`, `hint` (as it is written), `required`, `default` (its repr)."""
        required = set(self.required())
        return [
            {
                "name": name,
                "hint": self._hint_text(name),
                "required": name in required,
                "default": None if self._default(name) is _NONE else repr(self._default(name))[:200],
            }
            for name in self.names
        ]

    def _hint_text(self, name: str) -> str | None:
        if name not in self._hints:
            return None
        from dagy.hints import name_of

        return name_of(self._hints[name])

    def _default(self, name: str) -> Any:
        parameter = self._parameters[name]
        return _NONE if parameter.default is parameter.empty else parameter.default

    def bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """Arguments by the names of their parameters, defaults included; `*args` is a tuple, `**kwargs` a dict.

        Raises ParameterError, which names what is missing, unknown (with the name that may have been meant) or given
        twice.
        """
        if self._takes_nothing and not args and not kwargs:
            return {}
        bound: dict[str, Any] = {}
        errors: dict[str, str] = {}
        rest = list(args)
        known = dict(kwargs)
        for name, parameter in self._parameters.items():
            if name in self.injected:
                continue
            if parameter.kind == parameter.VAR_POSITIONAL:
                bound[name], rest = tuple(rest), []
            elif parameter.kind == parameter.VAR_KEYWORD:
                bound[name], known = known, {}
            elif rest and parameter.kind != parameter.KEYWORD_ONLY:
                bound[name] = rest.pop(0)
                if name in known and parameter.kind != parameter.POSITIONAL_ONLY:
                    errors[name] = "was given twice"
                    del known[name]
            elif name in known and parameter.kind != parameter.POSITIONAL_ONLY:
                bound[name] = known.pop(name)
            elif parameter.default is not parameter.empty:
                bound[name] = parameter.default
            else:
                errors[name] = "is missing"
        errors |= {name: self._unknown(name) for name in known}
        if rest:
            errors["arguments"] = f"{len(args)} were given by position, {len(args) - len(rest)} are taken"
        if errors:
            raise ParameterError(f"{self._subject}({', '.join(self.names)})", errors)
        return bound

    def validate(self, values: dict[str, Any]) -> dict[str, Any]:
        """The values, checked and where JSON has no such type converted (see `dagy.hints`). Raises ParameterError."""
        if not self._checked:
            return values
        from dagy.hints import Mismatch, fit

        fitted, errors = dict(values), {}
        for name, hint in self._checked.items():
            if name in values:
                try:
                    fitted[name] = self._fit(name, values[name], hint, fit)
                except Mismatch as problem:
                    errors[name] = str(problem)
        if errors:
            raise ParameterError(self._subject, errors)
        return fitted

    def call_arguments(
        self, values: dict[str, Any], injected: dict[str, Any] | None = None
    ) -> tuple[list[Any], dict[str, Any]]:
        """What to call the function with; `injected` holds the context."""
        if not self._parameters:
            return [], {}
        if self.injected:
            values = values | dict.fromkeys(self.injected, (injected or {}).get(CONTEXT))
        if self._has_names_only:
            return [], values
        args: list[Any] = []
        kwargs: dict[str, Any] = {}
        for name, parameter in self._parameters.items():
            if parameter.kind == parameter.VAR_POSITIONAL:
                args.extend(values[name])
            elif parameter.kind == parameter.VAR_KEYWORD:
                kwargs |= values[name]
            elif parameter.kind == parameter.KEYWORD_ONLY:
                kwargs[name] = values[name]
            else:
                args.append(values[name])
        return args, kwargs

    def parse(self, texts: dict[str, str]) -> dict[str, Any]:
        """Parameters that were typed (`-p day=2026-01-15`): JSON, or a text where the hint says so or it is none."""
        from dagy.hints import parse_text

        return {name: parse_text(text, self._hints.get(name, Any)) for name, text in texts.items()}

    def _fit(self, name: str, value: Any, hint: Any, fit: Callable[[Any, Any, str], Any]) -> Any:
        parameter = self._parameters[name]
        if parameter.kind == parameter.VAR_POSITIONAL:
            return tuple(fit(item, hint, f"{name}[{i}]") for i, item in enumerate(value))
        if parameter.kind == parameter.VAR_KEYWORD:
            return {key: fit(item, hint, f"{name}[{key!r}]") for key, item in value.items()}
        if value is parameter.default:
            return value
        return fit(value, hint, "")

    def _unknown(self, name: str) -> str:
        from difflib import get_close_matches

        close = get_close_matches(name, self.names, n=1)
        return f"is unknown (did you mean {close[0]!r}?)" if close else "is unknown"

    def _read(self) -> None:
        import inspect

        self._parameters = dict(inspect.signature(self._fn).parameters)
        annotated = {name: p.annotation for name, p in self._parameters.items() if p.annotation is not p.empty}
        if annotated:
            from dagy.hints import resolved

            self._hints = {name: resolved(hint, self._fn) for name, hint in annotated.items()}
        self._checked = {
            name: hint
            for name, hint in self._hints.items()
            if hint is not Any and hint is not object and not _is_context(hint)
        }


def _takes_nothing(fn: Callable[..., Any]) -> bool:
    code = getattr(fn, "__code__", None)
    return code is not None and not (code.co_argcount or code.co_kwonlyargcount or code.co_flags & 0x0C)


def _is_context(hint: Any) -> bool:
    if isinstance(hint, str):
        return hint.rpartition(".")[2] == CONTEXT
    return getattr(hint, "__name__", None) == CONTEXT and getattr(hint, "__module__", "") == "dagy.context"

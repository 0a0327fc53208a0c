"""Flows: functions that call tasks, and so describe a graph."""

from __future__ import annotations

from functools import partial, update_wrapper
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar, overload

from dagy import graph as graphs
from dagy.errors import OutsideFlowError
from dagy.parameters import Signature
from dagy.tasks import is_coroutine_function

if TYPE_CHECKING:
    from collections.abc import Callable

    from dagy.results import RunResult

P = ParamSpec("P")
R = TypeVar("R")

_TAKEN = frozenset({"max_workers", "fail_fast"})


class Flow(Generic[P, R]):
    """A function whose calls of tasks make a graph. Made by `@flow`. `fn` is the plain function.

    The function runs once, before any task does, to build the graph. Called in another flow's function, a flow adds
    its tasks to that flow's graph.
    """

    def __init__(
        self, fn: Callable[P, R], *, name: str | None = None, version: str | None = None, log_prints: bool = False
    ) -> None:
        if not callable(fn):
            raise ValueError("Only a function can be a flow.")
        self.fn = fn
        self.name = getattr(fn, "__name__", type(fn).__name__) if name is None else name
        self.version = version
        self.log_prints = log_prints
        self._signature: Signature | None = None
        if not isinstance(self.name, str) or not self.name.strip():
            raise ValueError("A flow's name must be a text, and not empty.")
        self._check_parameters()
        update_wrapper(self, fn)

    @property
    def signature(self) -> Signature:
        if self._signature is None:
            self._signature = Signature.of(self.fn)
        return self._signature

    @property
    def source(self) -> str | None:
        """`/path/to/file.py:function`, where the function has a file."""
        code = getattr(self.fn, "__code__", None)
        return f"{code.co_filename}:{self.fn.__qualname__}" if code is not None else None

    def run_local(self, max_workers: int = 4, fail_fast: bool = True, **parameters: Any) -> RunResult:
        """Run the flow in this process, with up to `max_workers` tasks at once, and keep its files below `~/.dagy`.

        With `fail_fast`, the first failure cancels the rest and raises TaskFailedError (or its kinds TaskTimeoutError
        and ArtifactSerializationError), whose `result` is the run's. Without it, independent branches go on, what is
        downstream of a failure is SKIPPED, and the result has status FAILED.

        Raises ParameterError before anything runs; DependencyCycleError; LocalStorageError where the files can't be
        written; what the flow's own function raises; KeyboardInterrupt after Ctrl-C, once the run has ended CANCELLED.
        """
        from dagy.local import run

        return run(self, parameters, max_workers=max_workers, fail_fast=fail_fast)

    def graph(self, **parameters: Any) -> graphs.Graph:
        """The graph that these parameters give, without running any task. Raises DependencyCycleError."""
        built, _ = self.build(self.checked(parameters))
        built.check()
        return built

    def checked(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """Parameters by name, defaults included, checked against the type hints. Raises ParameterError."""
        return self.signature.validate(self.signature.bind((), parameters))

    def build(self, parameters: dict[str, Any]) -> tuple[graphs.Graph, Any]:
        """Run the function; returns the graph, which may hold a cycle, and what the function returned."""
        built = graphs.Graph()
        args, kwargs = self.signature.call_arguments(parameters)
        with graphs.building(built):
            return built, call(self.fn, args, kwargs)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        if graphs.being_built() is None:
            raise OutsideFlowError(
                f"Flow {self.name!r} was called outside a flow: run it with {self.name}.run_local(…), "
                "or call it in another flow's function."
            )
        result: R = call(self.fn, args, kwargs)
        return result

    def _check_parameters(self) -> None:
        code = getattr(self.fn, "__code__", None)
        names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount] if code is not None else ()
        taken = sorted(_TAKEN.intersection(names))
        if taken:
            raise ValueError(
                f"Flow {self.name!r} has a parameter {taken[0]!r}, which is an option of run_local: rename it."
            )

    def __repr__(self) -> str:
        return f"<flow {self.name!r}>"


@overload
def flow(fn: Callable[P, R], /) -> Flow[P, R]: ...
@overload
def flow(
    *, name: str | None = ..., version: str | None = ..., log_prints: bool = ...
) -> Callable[[Callable[P, R]], Flow[P, R]]: ...
def flow(fn: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """Make a function, async ones too, a flow: `@flow`, or `@flow(name="Nightly", version="3")`.

    `log_prints`: what its tasks print goes to the run's log.
    """
    return Flow(fn, **options) if fn is not None else partial(Flow, **options)


def call(fn: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    """Call a function, or run a coroutine function to its end, also where an event loop runs already."""
    if not is_coroutine_function(fn):
        return fn(*args, **kwargs)
    import asyncio
    from concurrent.futures import ThreadPoolExecutor
    from contextvars import copy_context

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(fn(*args, **kwargs))
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(copy_context().run, asyncio.run, fn(*args, **kwargs)).result()

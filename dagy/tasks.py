"""Tasks: what a flow is made of."""

from __future__ import annotations

from functools import partial, update_wrapper
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar, cast, overload

from dagy import graph as graphs
from dagy.errors import OutsideFlowError
from dagy.outputs import TaskOutput
from dagy.parameters import Signature

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from dagy.results import TaskRun

    Hook = Callable[[TaskRun], object]
    Delay = float | Sequence[float] | Callable[[int], float]

P = ParamSpec("P")
R = TypeVar("R")

_COROUTINE = 0x80  # inspect.CO_COROUTINE, without the import
ISOLATIONS = ("thread", "process")


class Task(Generic[P, R]):
    """A function that flows run as one of their steps. Made by `@task`, which tells of the options.

    `fn` is the plain function. Called while a flow is built, a task gives a `TaskOutput` (typed as the function's
    result, so that type checkers know what the next task gets).
    """

    def __init__(
        self,
        fn: Callable[P, R],
        *,
        name: str | None = None,
        retries: int = 0,
        retry_delay_seconds: Delay = 0,
        retry_jitter_factor: float = 0,
        timeout_seconds: float | None = None,
        concurrency_limit: int | None = None,
        validate_parameters: bool = True,
        retry_condition_fn: Callable[[BaseException], bool] | None = None,
        on_running: Sequence[Hook] = (),
        on_completion: Sequence[Hook] = (),
        on_failure: Sequence[Hook] = (),
        on_retry: Sequence[Hook] = (),
        log_prints: bool | None = None,
        isolation: str = "thread",
    ) -> None:
        self.fn = fn
        self.name = _name_of(fn) if name is None else name
        self.retries = retries
        self.retry_delay_seconds = retry_delay_seconds
        self.retry_jitter_factor = retry_jitter_factor
        self.timeout_seconds = timeout_seconds
        self.concurrency_limit = concurrency_limit
        self.validate_parameters = validate_parameters
        self.retry_condition_fn = retry_condition_fn
        self.on_running = tuple(on_running)
        self.on_completion = tuple(on_completion)
        self.on_failure = tuple(on_failure)
        self.on_retry = tuple(on_retry)
        self.log_prints = log_prints
        self.isolation = isolation
        self.is_async = is_coroutine_function(fn)
        self._signature: Signature | None = None
        _check(self)
        update_wrapper(self, fn)

    @property
    def signature(self) -> Signature:
        if self._signature is None:
            self._signature = Signature.of(self.fn)
        return self._signature

    @overload
    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R: ...
    @overload
    def __call__(self, *args: Any, wait_for: Sequence[Any], **kwargs: Any) -> R: ...
    def __call__(self, *args: Any, wait_for: Sequence[Any] = (), **kwargs: Any) -> R:  # type: ignore[misc]
        """Add a call to the flow that is being built. `wait_for`: outputs to wait for without using them."""
        built = graphs.being_built()
        if built is None:
            raise OutsideFlowError(
                f"Task {self.name!r} was called outside a flow: call it in a function with @flow and run that with "
                f".run_local(). For the plain function, in a test or in another task, call {_name_of(self.fn)}.fn(…)."
            )
        return cast("R", TaskOutput(built.add(self, args, kwargs, wait_for)))

    def map(self, *iterables: Iterable[Any], wait_for: Sequence[Any] = (), **constant: Any) -> list[R]:
        """Call the task once for each item, as the built-in `map` does; keyword arguments are the same for all.

        The iterables must be as long as one another, and known while the flow is built: another task's output is not.
        """
        for iterable in iterables:
            if isinstance(iterable, TaskOutput):
                raise OutsideFlowError(
                    f"{self.name}.map needs items that are known while the flow is built, and {iterable!r} is not: "
                    "loop over it inside a task, or pass the items as a parameter of the flow."
                )
        return [self(*items, wait_for=wait_for, **constant) for items in zip(*iterables, strict=True)]

    def with_options(self, **options: Any) -> Task[P, R]:
        """The same task with other options, such as another name."""
        return Task(self.fn, **({name: getattr(self, name) for name in _OPTIONS} | options))

    def __repr__(self) -> str:
        return f"<task {self.name!r}>"


_OPTIONS = tuple(name for name in Task.__init__.__annotations__ if name not in ("fn", "return"))


@overload
def task(fn: Callable[P, R], /) -> Task[P, R]: ...
@overload
def task(
    *,
    name: str | None = ...,
    retries: int = ...,
    retry_delay_seconds: Delay = ...,
    retry_jitter_factor: float = ...,
    timeout_seconds: float | None = ...,
    concurrency_limit: int | None = ...,
    validate_parameters: bool = ...,
    retry_condition_fn: Callable[[BaseException], bool] | None = ...,
    on_running: Sequence[Hook] = ...,
    on_completion: Sequence[Hook] = ...,
    on_failure: Sequence[Hook] = ...,
    on_retry: Sequence[Hook] = ...,
    log_prints: bool | None = ...,
    isolation: str = ...,
) -> Callable[[Callable[P, R]], Task[P, R]]: ...
def task(fn: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """Make a function, async ones too, a task: `@task`, or `@task(retries=3)`.

    - `name`: what the task is called; the function's name otherwise
    - `retries`: attempts after the first; `retry_delay_seconds`: a number, a list (its last item goes on), or a
      function of the failed attempt's number (from 1); `retry_jitter_factor`: up to so much of the delay is added at
      random; `retry_condition_fn(exception)`: whether to try again
    - `timeout_seconds`: of one attempt. The run goes on at the deadline. A thread can't be ended in Python: it is left
      alone, and sees `RunContext.cancelled`. With `isolation="process"` it is ended
    - `concurrency_limit`: how many calls of this task may run at once in a run
    - `validate_parameters`: check arguments against the type hints
    - `on_running`, `on_completion`, `on_failure`, `on_retry`: functions of a `TaskRun`; what they raise is logged
    - `log_prints`: what is printed goes to the log; where None, as the flow says
    - `isolation`: `"thread"`, or `"process"`: each attempt in a process of its own, by `fork` (Linux, macOS);
      arguments and result are pickled
    """
    return Task(fn, **options) if fn is not None else partial(Task, **options)


def is_coroutine_function(fn: Callable[..., Any]) -> bool:
    while isinstance(fn, partial):
        fn = fn.func
    code = getattr(fn, "__code__", None) or getattr(vars(type(fn)).get("__call__"), "__code__", None)
    return code is not None and bool(code.co_flags & _COROUTINE)


def _name_of(fn: Callable[..., Any]) -> str:
    while isinstance(fn, partial):
        fn = fn.func
    return str(getattr(fn, "__name__", type(fn).__name__))


def _check(made: Task[Any, Any]) -> None:
    wrong = [problem for problem, is_wrong in _problems(made) if is_wrong]
    if wrong:
        raise ValueError(f"Task {made.name!r}: {'; '.join(wrong)}.")


def _problems(made: Task[Any, Any]) -> list[tuple[str, bool]]:
    return [
        ("only a function can be a task (put @task below @staticmethod or @property)", not callable(made.fn)),
        ("retries must be a whole number from 0", not _is_whole(made.retries, 0)),
        (
            "timeout_seconds must be more than 0, or None",
            not (made.timeout_seconds is None or made.timeout_seconds > 0),
        ),
        (
            "concurrency_limit must be a whole number from 1, or None",
            not (made.concurrency_limit is None or _is_whole(made.concurrency_limit, 1)),
        ),
        ("retry_jitter_factor must not be below 0", made.retry_jitter_factor < 0),
        (f"isolation must be one of {', '.join(ISOLATIONS)}", made.isolation not in ISOLATIONS),
        ("name must be a text, and not empty", not isinstance(made.name, str) or not made.name.strip()),
        (
            "retry_delay_seconds must be a number from 0, a list of them, or a function",
            not _is_delay(made.retry_delay_seconds),
        ),
    ]


def _is_whole(value: object, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _is_delay(value: Any) -> bool:
    if callable(value):
        return True
    delays = [value] if isinstance(value, (int, float)) else value
    return (
        isinstance(delays, (list, tuple))
        and bool(delays)
        and all(isinstance(d, (int, float)) and d >= 0 for d in delays)
    )

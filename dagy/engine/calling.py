"""Calling a task's function: in this thread, as a coroutine, or in a process of its own."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from dagy.arguments import resolve
from dagy.context import set_context
from dagy.engine import logs

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import Context

    from dagy.context import RunContext
    from dagy.engine.states import Attempt
    from dagy.graph import Node


def arguments_of(node: Node, outputs: dict[str, Any]) -> dict[str, Any]:
    """The call's arguments with the outputs of others in place, checked. Raises ParameterError, and what taking a part
    of an output raises (KeyError, …)."""
    values = resolve(node.arguments, outputs) if node.holds_outputs else node.arguments
    return node.task.signature.validate(values) if node.task.validate_parameters else values


def call_here(node: Node, values: dict[str, Any], context: RunContext, attempt: Attempt, variables: Context) -> Any:
    """Call the function in this thread, within `variables` (the context variables of who began the run)."""
    return variables.run(_call, node, values, context, attempt)


def _call(node: Node, values: dict[str, Any], context: RunContext, attempt: Attempt) -> Any:
    set_context(context)
    try:
        args, kwargs = node.task.signature.call_arguments(values, {"RunContext": context})
        if not node.task.is_async:
            return node.task.fn(*args, **kwargs)
        return _call_coroutine(node.task.fn, args, kwargs, attempt)
    finally:
        logs.finish_line()


def _call_coroutine(fn: Callable[..., Any], args: Any, kwargs: Any, attempt: Attempt) -> Any:
    import asyncio

    async def stoppable() -> Any:
        loop, current = asyncio.get_running_loop(), asyncio.current_task()
        assert current is not None
        here = threading.get_ident()

        def stop(_hard: bool) -> None:
            if threading.get_ident() == here:
                current.cancel()
            elif not loop.is_closed():
                loop.call_soon_threadsafe(current.cancel)

        attempt.on_stop = stop
        if attempt.stop.is_set():
            current.cancel()
        try:
            return await fn(*args, **kwargs)
        finally:
            attempt.on_stop = None

    return asyncio.run(stoppable())

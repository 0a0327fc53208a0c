"""One run, from its graph to its final state.

The main thread sleeps until something is due: a deadline, a retry, a signal, the end. Worker threads take tasks that
are ready, and whoever ends one makes the next ones ready: between two tasks there is nothing to wait for.
`lock` guards all states and the pool; nothing is called with it held that could block.
"""

from __future__ import annotations

import threading
from contextvars import copy_context
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any

from dagy.artifacts import Artifacts
from dagy.context import RunContext
from dagy.engine import retries
from dagy.engine.calling import arguments_of, call_here
from dagy.engine.errors import error_record, error_type, message_of, traceback_of
from dagy.engine.outputs import Outputs
from dagy.engine.pool import Pool
from dagy.engine.slots import Slots
from dagy.engine.states import Attempt, TaskState
from dagy.engine.timers import Timers
from dagy.engine.words import Abandoned, failed_how, in_seconds, of_attempts, timed_out, traceback_lines, why_cancelled
from dagy.errors import TaskTimeoutError
from dagy.states import State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from dagy.backend import Backend
    from dagy.engine.clock import Clock
    from dagy.engine.processes import Nursery
    from dagy.graph import Graph
    from dagy.tasks import Hook

_DONE = object()


class Run:
    """`begin()` runs the graph, in the calling thread and `max_workers` more, and returns when all tasks are final.

    `cancel()` may be called by any thread, and by signal handlers.
    """

    def __init__(
        self,
        *,
        run_id: str,
        flow_name: str,
        graph: Graph,
        backend: Backend,
        clock: Clock,
        log: Callable[[str, str | None, str], None],
        max_workers: int,
        fail_fast: bool,
        log_prints: bool,
        grace_seconds: float,
        nursery: Nursery | None,
        on_cancelling: Callable[[str], None],
    ) -> None:
        self.run_id = run_id
        self.flow_name = flow_name
        self.backend = backend
        self.clock = clock
        self.log = log
        self.fail_fast = fail_fast
        self.log_prints = log_prints
        self.grace_seconds = grace_seconds
        self.nursery = nursery
        self.on_cancelling = on_cancelling
        self.lock = threading.Lock()
        self.pool = Pool(self.lock, max_workers, f"dagy-{run_id[-6:]}")
        self.states = {task_id: TaskState(node, run_id, clock.text) for task_id, node in graph.nodes.items()}
        for task_id, users in graph.downstream().items():
            self.states[task_id].downstream = [self.states[user] for user in users]
        self.outputs: dict[str, Any] = {}
        self.first_failure: TaskState | None = None
        self.cancel_reason: str | None = None
        self.stopping: str | None = None
        self.variables = copy_context()
        self.interruption: BaseException | None = None
        self._remaining = len(self.states)
        self._kept = Outputs(backend)
        self._timers = Timers()
        self._slots = Slots()
        self._threads: dict[Attempt, threading.Thread] = {}
        self._broken: BaseException | None = None

    def reuse(self, run_id: str, outputs: Mapping[str, Any]) -> None:
        """Before `begin`: what an earlier run has done, and all that it waited for, is not done again."""
        for (
            task_id,
            state,
        ) in self.states.items():  # in the order of the flow's calls: what a task waits for stands first
            if task_id not in outputs or state.waiting:
                continue
            error = self._kept.keep(state, outputs[task_id])
            if error is not None:
                self.log("WARNING", task_id, f"It runs again: its output of run {run_id} could not be kept: {error}")
                continue
            state.output = self.outputs[task_id] = outputs[task_id]
            state.end(State.SUCCEEDED, monotonic(), f"its output of run {run_id} is reused")
            for user in state.downstream:
                user.waiting -= 1
            self._remaining -= 1
            self._tell(state, "INFO", f"Reused the output of run {run_id}")

    def begin(self) -> None:
        if not self._remaining:
            return
        with self._timers:
            with self.lock:
                for state in self.states.values():
                    if not state.waiting and state.status is State.PENDING:
                        self._ready(state)
                self.pool.wake()
            self._watch()
            self.pool.close()
        if self._broken is not None:
            raise self._broken

    def cancel(self, interruption: BaseException) -> None:
        """Cancel what goes on, and raise this in the end. The second time, nothing is waited for any more."""
        self._timers.send(interruption)

    # --- the main thread

    def _watch(self) -> None:
        while True:
            message = self._next_message()
            if message is _DONE:
                return
            if isinstance(message, BaseException):
                self._cancel(message)
            self._timers.fire()

    def _next_message(self) -> Any:
        """What a signal handler of the program's own raises here ends the run, and is raised after it."""
        try:
            return self._timers.wait()
        except BaseException as error:
            return error

    def _cancel(self, interruption: BaseException) -> None:
        if self.interruption is not None:
            self._end_grace()
            return
        self.interruption = interruption
        self.cancel_reason = why_cancelled(interruption)
        self.on_cancelling(self.cancel_reason)
        self._stop(self.cancel_reason)

    # --- what is ready

    def _ready(self, state: TaskState) -> None:
        """With the lock held."""
        if self._slots.take(state):
            self.pool.add(partial(self._guarded, partial(self._attempt, state)))

    def _release(self, state: TaskState) -> None:
        """With the lock held: the attempt no longer counts for its task's limit."""
        successor = self._slots.give_back(state)
        if successor is not None:
            self.pool.add(partial(self._guarded, partial(self._attempt, successor)))

    # --- one attempt

    def _guarded(self, job: Callable[[], bool]) -> bool:
        """What fails in the engine itself, or in its backend, ends the run at once: better than one that never ends."""
        try:
            return job()
        except BaseException as error:
            self._broken = error
            self._timers.send(_DONE)
            return False

    def _attempt(self, state: TaskState) -> bool:
        attempt = self._open(state)
        if attempt is None:
            return True
        value, error = self._outcome(state, attempt)
        with self.lock:
            if attempt.closed:
                return False
            attempt.closed = True
            del self._threads[attempt]
        self._settle(state, attempt, value, error)
        return True

    def _open(self, state: TaskState) -> Attempt | None:
        attempt = Attempt(len(state.attempts) + 1, monotonic(), threading.Event())
        with self.lock:
            if state.status is not State.PENDING:  # cancelled while it waited for a thread
                self._release(state)
                return None
            state.status = State.RUNNING
            state.attempt = attempt
            self._threads[attempt] = threading.current_thread()
        state.began = attempt.began if state.began is None else state.began
        state.attempts.append(
            {
                "number": attempt.number,
                "status": State.RUNNING.value,
                "started_at": self.clock.text(attempt.began),
                "ended_at": None,
                "duration_seconds": None,
                "error": None,
                "retry_at": None,
            }
        )
        self.backend.task_changed(state.record())
        self.log("INFO", state.task_id, f"Started{of_attempts(state, attempt)}")
        self._call_hooks("on_running", state)
        return attempt

    def _outcome(self, state: TaskState, attempt: Attempt) -> tuple[Any, BaseException | None]:
        """What the function returned, or raised: a task that calls sys.exit() has failed, and the run goes on."""
        node = state.node
        try:
            values = arguments_of(node, self.outputs)
            if node.task.isolation == "process":
                assert self.nursery is not None
                context = partial(self._context, state, attempt)
                return self.nursery.call(node, values, context, attempt), None
            self._set_deadline(state, attempt)
            if attempt.stop.is_set():
                raise Abandoned("asked to stop before it began")
            return call_here(node, values, self._context(state, attempt), attempt, self.variables.copy()), None
        except BaseException as error:
            return None, error

    def _context(self, state: TaskState, attempt: Attempt) -> RunContext:
        task = state.node.task
        return RunContext(
            run_id=self.run_id,
            flow_name=self.flow_name,
            task_id=state.task_id,
            task_name=task.name,
            attempt=attempt.number,
            log=self.log,
            stop=attempt.stop,
            artifacts=Artifacts(partial(self._kept.save, state, attempt)),
            log_prints=self.log_prints if task.log_prints is None else task.log_prints,
        )

    def _set_deadline(self, state: TaskState, attempt: Attempt) -> None:
        seconds = state.node.task.timeout_seconds
        if seconds is not None:
            self._timers.at(monotonic() + seconds, partial(self._expire, state, attempt))

    def _expire(self, state: TaskState, attempt: Attempt) -> None:
        """The main thread, at a deadline: the attempt is over, whatever its thread does."""
        error = timed_out(state.node.task, state.task_id, attempt.number)
        if self._abandon(state, attempt, error):
            attempt.end(hard=True)

    def _abandon(self, state: TaskState, attempt: Attempt, error: BaseException) -> bool:
        with self.lock:
            if attempt.closed:
                return False
            attempt.closed = True
            self.pool.abandon(self._threads.pop(attempt))
            settle = partial(self._settle_abandoned, state, attempt, error)
            self.pool.add(partial(self._guarded, settle), first=True)
            self.pool.wake()
        return True

    def _settle_abandoned(self, state: TaskState, attempt: Attempt, error: BaseException) -> bool:
        self._settle(state, attempt, None, error)
        return True

    # --- how an attempt ended

    def _settle(self, state: TaskState, attempt: Attempt, value: Any, error: BaseException | None) -> None:
        if error is None:
            error = self._kept.keep(state, value)
        ended = monotonic()
        record = state.attempts[-1]
        record["ended_at"] = self.clock.text(ended)
        record["duration_seconds"] = round(ended - attempt.began, 6)
        if error is None:
            record["status"] = State.SUCCEEDED.value
            self._succeed(state, value, ended)
            return
        state.error = error
        record["error"] = error_record(error)
        if self.stopping is not None and not isinstance(error, TaskTimeoutError):
            record["status"] = State.CANCELLED.value
            self._end_cancelled(state, ended)
            return
        failed = State.TIMED_OUT if isinstance(error, TaskTimeoutError) else State.FAILED
        record["status"] = failed.value
        delay = self._delay(state, attempt, error)
        if delay is None:
            self._fail(state, attempt, failed, ended)
        else:
            self._retry(state, attempt, delay)

    def _delay(self, state: TaskState, attempt: Attempt, error: BaseException) -> float | None:
        """Seconds until the next attempt; None where there is none."""
        try:
            if not retries.is_retryable(state.node.task, attempt.number, error):
                return None
            return retries.delay_after(state.node.task, attempt.number)
        except Exception as broken:
            self.log("ERROR", state.task_id, f"Not tried again, since its retry option failed: {traceback_of(broken)}")
            return None

    def _succeed(self, state: TaskState, value: Any, ended: float) -> None:
        state.output = value
        state.error = None
        state.end(State.SUCCEEDED, ended)
        self._tell(state, "INFO", f"Succeeded in {in_seconds(state.attempts[-1]['duration_seconds'])}")
        self._call_hooks("on_completion", state)
        with self.lock:
            self.outputs[state.task_id] = value
            self._release(state)
            for user in state.downstream:
                user.waiting -= 1
                if not user.waiting and user.status is State.PENDING:
                    self._ready(user)
        self._finished(1)

    def _retry(self, state: TaskState, attempt: Attempt, delay: float) -> None:
        due = monotonic() + delay
        state.attempts[-1]["retry_at"] = self.clock.text(due)
        with self.lock:
            stopped = self.stopping is not None
            if not stopped:
                state.status = State.PENDING
        if stopped:
            self._end_cancelled(state, monotonic())
            return
        self._tell(
            state,
            "WARNING",
            f"{failed_how(state, attempt)}; the next begins in {in_seconds(delay)}\n{traceback_lines(state)}",
        )
        self._call_hooks("on_retry", state)
        with self.lock:
            self._release(state)
        self._timers.at(due, partial(self._retry_now, state))

    def _retry_now(self, state: TaskState) -> None:
        with self.lock:
            if state.status is State.PENDING:
                self._ready(state)
                self.pool.wake()

    def _fail(self, state: TaskState, attempt: Attempt, status: State, ended: float) -> None:
        assert state.error is not None
        state.end(status, ended, f"{error_type(state.error)}: {message_of(state.error)}"[:500])
        with self.lock:
            first = self.first_failure is None
            if first:
                self.first_failure = state
        self._tell(
            state,
            "ERROR",
            f"{failed_how(state, attempt)}\n{traceback_lines(state)}",
        )
        self._call_hooks("on_failure", state)
        self._skip_downstream(state)
        if self.fail_fast and first:
            self._stop(f"task {state.task_id!r} failed")
        with self.lock:
            self._release(state)
        self._finished(1)

    def _end_cancelled(self, state: TaskState, ended: float) -> None:
        state.end(State.CANCELLED, ended, self.stopping)
        self._tell(state, "WARNING", f"Cancelled: {self.stopping}")
        self._skip_downstream(state)
        with self.lock:
            self._release(state)
        self._finished(1)

    def _skip_downstream(self, state: TaskState) -> None:
        """All that waits for a task that did not succeed, however far, will not run."""
        skipped = []
        cancelled = state.status is State.CANCELLED
        with self.lock:
            found = [state]
            while found:
                for user in found.pop().downstream:
                    if user.status is State.PENDING:
                        reason = self.stopping if cancelled else f"upstream {state.task_id!r} ended {state.status}"
                        user.end(State.CANCELLED if cancelled else State.SKIPPED, monotonic(), reason)
                        skipped.append(user)
                        found.append(user)
        self._tell_unstarted(skipped)

    # --- stopping

    def _stop(self, reason: str) -> None:
        """Nothing more begins; what goes on is asked to end, and left alone after the grace time."""
        with self.lock:
            if self.stopping is not None:
                return
            self.stopping = reason
            unstarted = [state for state in self.states.values() if state.status is State.PENDING]
            for state in unstarted:
                state.end(State.CANCELLED, monotonic(), reason)
            going_on = list(self._threads)
        self._timers.at(monotonic() + self.grace_seconds, self._end_grace)
        for attempt in going_on:
            attempt.end(hard=False)
        self._tell_unstarted(unstarted)

    def _end_grace(self) -> None:
        with self.lock:
            going_on = [s for s in self.states.values() if s.attempt in self._threads]
        for state in going_on:
            attempt = state.attempt
            assert attempt is not None
            fate = "its process was ended" if state.node.task.isolation == "process" else "its thread was left alone"
            left = Abandoned(f"still running {self.grace_seconds:g} s after it was asked to stop: {fate}")
            if self._abandon(state, attempt, left):
                attempt.end(hard=True)

    # --- telling

    def _tell(self, state: TaskState, level: str, message: str) -> None:
        """The log first: a record that says how a task ended has its whole log beside it."""
        self.log(level, state.task_id, message)
        self.backend.task_changed(state.record())

    def _tell_unstarted(self, states: Sequence[TaskState]) -> None:
        for state in states:
            self._tell(state, "WARNING", f"{state.status.capitalize()}: {state.reason}")
        self._finished(len(states))

    def _finished(self, count: int) -> None:
        with self.lock:
            self._remaining -= count
            done = not self._remaining
        if done and count:
            self._timers.send(_DONE)

    def _call_hooks(self, kind: str, state: TaskState) -> None:
        hooks: Iterable[Hook] = getattr(state.node.task, kind)
        for hook in hooks:
            try:
                hook(state.task_run())
            except BaseException as error:
                self.log("ERROR", state.task_id, f"A hook of {kind} failed: {traceback_of(error)}")

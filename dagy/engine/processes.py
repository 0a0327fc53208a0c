"""Tasks in processes of their own, which can be ended for real, and whose death is one task's failure.

Forking a process that has threads can hang the child on a lock that nobody holds any more. So a nursery is forked
before the run's threads begin; it does nothing but fork, for each attempt, a minder, which forks the process of the
task and waits: for its end, for orders to end it, and for the end of the run's own process, which nothing outlives.
The task's process speaks with the run over a socket of its own.
"""

from __future__ import annotations

import os
import pickle
import select
import signal
import socket
import struct
import sys
import threading
import traceback
import warnings
from time import monotonic
from typing import TYPE_CHECKING, Any, NoReturn, Self

from dagy.artifacts import Artifacts, LocalArtifact
from dagy.context import RunContext
from dagy.engine.calling import call_here
from dagy.engine.errors import error_type, message_of, traceback_of
from dagy.engine.states import Attempt
from dagy.engine.words import fate, timed_out
from dagy.serialization import refusal_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from dagy.graph import Graph, Node
    from dagy.records import ArtifactRecord

_LENGTH = struct.Struct("!Q")
_STATUS = struct.Struct("!i")
_TERM, _KILL = b"T", b"K"


class ProcessEnded(Exception):
    """A task's process ended without a result."""


class RemoteError(Exception):
    """Stands for an exception that could not be pickled."""

    dagy_type = "Exception"


class Nursery:
    """Entered before any thread of the run begins, in a `with`."""

    def __init__(self, graph: Graph) -> None:
        if not hasattr(os, "fork"):
            raise NotImplementedError(
                'isolation="process" needs fork (Linux, macOS): take it out of the task\'s options.'
            )
        self._graph = graph
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        ours, theirs = socket.socketpair()
        _flush()
        self._pid = _fork()
        if not self._pid:
            ours.close()
            _tend(theirs, self._graph)
        theirs.close()
        self._orders = ours
        return self

    def __exit__(self, *_: object) -> None:
        self._orders.close()
        os.waitpid(self._pid, 0)

    def call(self, node: Node, values: dict[str, Any], new_context: Callable[[], RunContext], attempt: Attempt) -> Any:
        """Call a task's function in a new process. Raises what it raised; TaskTimeoutError, at once, with the process
        gone; ProcessEnded where it was killed, or left by `os._exit`."""
        seconds = node.task.timeout_seconds
        deadline = None if seconds is None else monotonic() + seconds
        talk, life = self._new_child()
        with talk, life:
            attempt.on_stop = lambda hard: _order(life, _KILL if hard else _TERM)
            if attempt.stop.is_set():
                _order(life, _TERM)
            context = new_context()
            try:
                _send(talk, _request(node, values, context, attempt))
                return _conversation(talk, life, context, deadline)
            except ConnectionError:
                raise _ending(life, deadline) from None
            except TimeoutError:
                attempt.stop.set()
                raise timed_out(node.task, node.task_id, attempt.number) from None
            finally:
                attempt.on_stop = None
                _order(life, _KILL)

    def _new_child(self) -> tuple[socket.socket, socket.socket]:
        talk, their_talk = socket.socketpair()
        life, their_life = socket.socketpair()
        with their_talk, their_life, self._lock:
            socket.send_fds(self._orders, [b"+"], [their_talk.fileno(), their_life.fileno()])
        return talk, life


# --- in the run's process


def _request(node: Node, values: dict[str, Any], context: RunContext, attempt: Attempt) -> bytes:
    known = {
        "run_id": context.run_id,
        "flow_name": context.flow_name,
        "task_id": context.task_id,
        "task_name": context.task_name,
        "attempt": attempt.number,
        "log_prints": context.log_prints,
    }
    return pickle.dumps((node.task_id, values, known))


def _conversation(talk: socket.socket, life: socket.socket, context: RunContext, deadline: float | None) -> Any:
    while True:
        timeout = None if deadline is None else max(0.0, deadline - monotonic())
        ready, _, _ = select.select([talk, life], [], [], timeout)
        if not ready:
            raise TimeoutError
        message = _receive(talk, deadline) if talk in ready else None
        if message is None:
            raise _ending(life, deadline)
        kind, content = message
        if kind == "log":
            context.write(*content)
        elif kind == "artifact":
            _send(talk, pickle.dumps(_saved(context, content)))
        elif kind == "returned":
            return content
        else:
            raise _exception(*content)


def _saved(context: RunContext, artifact: LocalArtifact) -> tuple[ArtifactRecord | None, str | None]:
    try:
        stored = context.artifacts.save(
            artifact.name, artifact.data, path=artifact.path, content_type=artifact.content_type
        )
    except Exception as error:
        return None, f"{error_type(error)}: {message_of(error)}"
    return stored.path, None  # type: ignore[return-value]


def _ending(life: socket.socket, deadline: float | None) -> ProcessEnded:
    life.settimeout(None if deadline is None else max(0.01, deadline - monotonic()))
    data = life.recv(_STATUS.size)
    if len(data) < _STATUS.size:
        return ProcessEnded("The task's process, and its minder, ended without saying how.")
    code = os.waitstatus_to_exitcode(_STATUS.unpack(data)[0])
    return ProcessEnded(f"The task's process {fate(code)}{' before it returned (os._exit?)' if code >= 0 else ''}.")


def _exception(pickled: bytes | None, kind: str, message: str, traceback_text: str) -> BaseException:
    try:
        error: Any = pickle.loads(pickled) if pickled is not None else RemoteError(message)  # noqa: S301
    except Exception:
        error = RemoteError(message)
    error.dagy_type = kind
    error.dagy_traceback = traceback_text
    return error  # type: ignore[no-any-return]


def _order(life: socket.socket, order: bytes) -> None:
    try:
        life.send(order)
    except OSError:  # it has ended already
        pass


# --- in the nursery


def _tend(orders: socket.socket, graph: Graph) -> NoReturn:
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        while True:
            got, fds, _, _ = socket.recv_fds(orders, 1, 2)
            if not got:
                os._exit(0)
            if not _fork():
                orders.close()
                _mind(socket.socket(fileno=fds[0]), socket.socket(fileno=fds[1]), graph)
            for fd in fds:
                os.close(fd)
    except BaseException:
        traceback.print_exc()
        os._exit(1)


def _mind(talk: socket.socket, life: socket.socket, graph: Graph) -> NoReturn:
    """Wait for the task's process, or for orders; whatever it has left running goes with it."""
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    pid = _fork()
    if not pid:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.close(woken)
        os.close(wake)
        life.close()
        _work(talk, graph)
    talk.close()
    _make_group(pid)
    while True:
        watched: list[Any] = [life, woken]
        ready, _, _ = select.select(watched, [], [])
        if life in ready:
            order = life.recv(1)
            _signal_group(pid, signal.SIGTERM if order == _TERM else signal.SIGKILL)
            if not order:
                os._exit(0)
        if woken in ready:
            os.read(woken, 64)
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                _signal_group(pid, signal.SIGKILL)
                _tell_status(life, status)


def _tell_status(life: socket.socket, status: int) -> NoReturn:
    try:
        life.send(_STATUS.pack(status))
    finally:
        os._exit(0)


def _make_group(pid: int) -> None:
    """The task's process does so itself, too: whoever comes first."""
    try:
        os.setpgid(pid, pid)
    except OSError:
        pass


def _signal_group(pid: int, number: int) -> None:
    try:
        os.killpg(pid, number)
    except OSError:
        pass


# --- in the task's process


def _work(talk: socket.socket, graph: Graph) -> NoReturn:
    code = 1
    try:
        _make_group(0)
        stop = threading.Event()

        def on_term(*_: object) -> NoReturn:
            stop.set()
            raise SystemExit(128 + signal.SIGTERM)

        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, on_term)
        _answer(talk, graph, stop)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        _flush()
        os._exit(code)


def _answer(talk: socket.socket, graph: Graph, stop: threading.Event) -> None:
    from contextvars import copy_context

    message = _receive(talk, None)
    if message is None:
        return
    task_id, values, known = message
    node = graph.nodes[task_id]
    lock = threading.Lock()

    def log(level: str, _task_id: str | None, text: str) -> None:
        with lock:
            _send(talk, pickle.dumps(("log", (level, text))))

    def store(artifact: LocalArtifact) -> Any:
        with lock:
            _send(talk, pickle.dumps(("artifact", artifact)))
            path, problem = _receive(talk, None) or (None, "the run has ended")
        if problem:
            raise OSError(problem)
        artifact.path = path
        return None

    context = RunContext(log=log, stop=stop, artifacts=Artifacts(store), **known)
    attempt = Attempt(known["attempt"], 0.0, stop)
    try:
        returned = call_here(node, values, context, attempt, copy_context())
        answer = _pickled_return(task_id, returned)
    except BaseException as error:
        answer = pickle.dumps(("raised", _portable(error)))
    with lock:
        _send(talk, answer)


def _pickled_return(task_id: str, returned: Any) -> bytes:
    try:
        return pickle.dumps(("returned", returned))
    except Exception:
        raise refusal_of(task_id, returned) from None


def _portable(error: BaseException) -> tuple[bytes | None, str, str, str]:
    try:
        pickled = pickle.dumps(error)
        pickle.loads(pickled)  # noqa: S301
    except Exception:
        pickled = None
    return pickled, error_type(error), message_of(error), traceback_of(error)


# --- both


def _send(sock: socket.socket, data: bytes) -> None:
    sock.sendall(_LENGTH.pack(len(data)))
    sock.sendall(data)


def _receive(sock: socket.socket, deadline: float | None) -> Any:
    """The next message; None at the end. Raises TimeoutError."""
    head = _exactly(sock, _LENGTH.size, deadline)
    if head is None:
        return None
    body = _exactly(sock, _LENGTH.unpack(head)[0], deadline)
    return None if body is None else pickle.loads(body)  # noqa: S301


def _exactly(sock: socket.socket, size: int, deadline: float | None) -> bytes | None:
    parts = bytearray()
    while len(parts) < size:
        sock.settimeout(None if deadline is None else max(0.001, deadline - monotonic()))
        try:
            part = sock.recv(min(size - len(parts), 1 << 20))
        except ConnectionError:
            return None
        if not part:
            return None
        parts += part
    return bytes(parts)


def _fork() -> int:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # other threads of the user's own
        return os.fork()


def _flush() -> None:
    """What is buffered would be printed once by each process."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):
            pass

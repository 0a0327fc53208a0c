"""What stands for a task's result while the flow is built."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, NoReturn, TypeVar

from dagy.errors import OutsideFlowError

if TYPE_CHECKING:
    from dagy.graph import Node

R_co = TypeVar("R_co", covariant=True)


class TaskOutput(Generic[R_co]):
    """Stands for what a task will return. Passing it to another task makes an edge; `output["key"]` stands for a part.

    While the flow is built there is no value yet, so it has no truth, no length and can't be looped over.
    """

    __slots__ = ("node", "path")

    def __init__(self, node: Node, path: tuple[Any, ...] = ()) -> None:
        self.node = node
        self.path = path

    @property
    def task_id(self) -> str:
        return self.node.task_id

    def depends_on(self, *outputs: TaskOutput[Any]) -> TaskOutput[R_co]:
        """Let the task wait for these too, as `wait_for=` does. Returns the output itself."""
        self.node.wait_for(outputs)
        return self

    def __getitem__(self, key: Any) -> TaskOutput[Any]:
        return TaskOutput(self.node, (*self.path, key))

    def __repr__(self) -> str:
        return f"<output of task {self.task_id!r}>{''.join(f'[{key!r}]' for key in self.path)}"

    def _not_yet(self, *_: object) -> NoReturn:
        raise OutsideFlowError(
            f"Task {self.task_id!r} has not run yet while the flow is built, so its output can't be looked at here: "
            "pass it to another task, and look at it there."
        )

    __bool__ = __len__ = __iter__ = __int__ = __float__ = __index__ = __contains__ = _not_yet
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = _not_yet
    __lt__ = __le__ = __gt__ = __ge__ = __call__ = _not_yet

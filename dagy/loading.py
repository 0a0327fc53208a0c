"""Flows out of files and modules: `path/to/file.py:flow`, or `package.module:flow`."""

from __future__ import annotations

import sys
import traceback
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dagy.errors import FlowLoadError
from dagy.flows import Flow

if TYPE_CHECKING:
    from types import ModuleType


def load_flow(target: str) -> Flow[Any, Any]:
    """The flow that a target names; its name may be left out where the file has one only.

    Raises FlowLoadError: there is no such file or flow, or it can't be imported (with the file's own traceback).
    """
    where, name = split_target(target)
    module = _from_file(Path(where)) if where.endswith(".py") else _from_module(where)
    return _flow_in(module, where, name)


def variable_of(flow: Flow[Any, Any]) -> str:
    """What its module calls a flow: the name by which it is found again."""
    module = vars(sys.modules[flow.fn.__module__])
    return next((name for name, value in module.items() if value is flow), flow.name)


def split_target(target: str) -> tuple[str, str | None]:
    """The file or module, and the flow's name in it."""
    where, colon, name = target.rpartition(":")
    if not colon or name.endswith(".py"):
        return target, None
    return where, name or None


def _from_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise FlowLoadError(f"There is no file {path}.")
    name = path.stem
    spec = spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise FlowLoadError(f"{path} is no Python file.")
    module = module_from_spec(spec)
    # What lies beside the file can be imported by it, and what pickles its classes finds them.
    sys.path.insert(0, str(path.resolve().parent))
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise _broken(str(path), error) from error
    return module


def _from_module(name: str) -> ModuleType:
    sys.path.insert(0, "")
    try:
        return import_module(name)
    except (Exception, SystemExit) as error:
        if isinstance(error, ModuleNotFoundError) and error.name and f"{name}.".startswith(f"{error.name}."):
            raise FlowLoadError(f"There is no module {error.name!r}. For a file, write path/to/file.py:flow.") from None
        raise _broken(name, error) from error


def _broken(where: str, error: BaseException) -> FlowLoadError:
    if isinstance(error, SyntaxError):
        frames = "".join(traceback.format_exception_only(error))
    else:
        tb = error.__traceback__
        while tb is not None and _is_ours(tb.tb_frame.f_code.co_filename):
            tb = tb.tb_next
        frames = "".join(traceback.format_exception(type(error), error, tb))
    return FlowLoadError(f"{where} can't be imported:\n{frames.rstrip()}")


def _is_ours(filename: str) -> bool:
    return filename == __file__ or filename.startswith("<frozen importlib") or "importlib" in Path(filename).parts


def _flow_in(module: ModuleType, where: str, name: str | None) -> Flow[Any, Any]:
    flows = {key: value for key, value in vars(module).items() if isinstance(value, Flow)}
    if name is None:
        return _only_flow(flows, where)
    if name in flows:
        return flows[name]
    by_name = [flow for flow in flows.values() if flow.name == name]
    if len(by_name) == 1:
        return by_name[0]
    if hasattr(module, name):
        raise FlowLoadError(f"{name!r} in {where} is no flow: put @flow above it. {_listed(flows)}")
    raise FlowLoadError(f"There is no flow {name!r} in {where}. {_listed(flows)}")


def _only_flow(flows: dict[str, Flow[Any, Any]], where: str) -> Flow[Any, Any]:
    different = {id(flow): flow for flow in flows.values()}
    if len(different) == 1:
        return next(iter(different.values()))
    if not different:
        raise FlowLoadError(f"There is no flow in {where}: put @flow above a function.")
    raise FlowLoadError(f"There is more than one flow in {where}: name one, as in {where}:{next(iter(flows))}.")


def _listed(flows: dict[str, Flow[Any, Any]]) -> str:
    return f"It has: {', '.join(flows)}." if flows else "It has no flow."

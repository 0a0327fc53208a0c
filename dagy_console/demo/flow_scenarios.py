"""What goes wrong with flows that customers describe, deploy and call."""

from typing import Any

from dagy_console.demo.frames import REQUEST
from dagy_console.demo.scenario import Scenario, Values
from dagy_console.demo.text import Call, raised


def _deployment(v: Values) -> dict[str, Any]:
    return {
        "flow": v["flow"],
        "version": f"1.{v['upstream'] % 40}.{v['job']}",
        "spec": {
            "tasks": [
                {"id": v["upstream"] - 2, "name": "extract", "depends_on": [v["upstream"] - 1]},
                {"id": v["upstream"] - 1, "name": "transform", "depends_on": [v["upstream"] - 2, v["upstream"]]},
            ]
        },
        "environment": {"WAREHOUSE_PASSWORD": "[Filtered]", "REGION": "eu-central-1"},
    }


def _orders(v: Values) -> dict[str, Any]:
    """A big body, as customers send who pass data instead of a place where it lies."""
    orders = [
        {
            "id": v["run"] * 1_000 + number,
            "customer": f"customer-{(number * 7919) % 5000:04d}",
            "city": ("Zürich", "Łódź", "São Paulo", "東京", "Αθήνα")[number % 5],
            "amount": f"{(number * 37 + v['amount']) % 9000 / 100:.2f}" if number % 97 else None,
            "lines": [{"sku": f"SKU-{(number + line) % 700:03d}", "count": line + 1} for line in range(3)],
        }
        for number in range(500)
    ]
    return {"flow": v["flow"], "parameters": {"currency": "CHF", "orders": orders}}


FLOW_SCENARIOS = (
    Scenario(
        name="invalid flow spec",
        type="ValueError",
        message="Invalid flow spec: task transform has no upstream {upstream}",
        traceback=raised(
            [
                *REQUEST,
                Call("dagy/api/deployments.py", 47, "deploy", "graph = parse_spec(body.spec)", "parse_spec(body.spec)"),
                Call(
                    "dagy/flows/spec.py",
                    92,
                    "parse_spec",
                    "edges = [edge for task in tasks for edge in _edges_of(task, by_id)]",
                    "_edges_of(task, by_id)",
                ),
                Call(
                    "dagy/flows/spec.py",
                    92,
                    "<listcomp>",
                    "edges = [edge for task in tasks for edge in _edges_of(task, by_id)]",
                    "_edges_of(task, by_id)",
                ),
                Call(
                    "dagy/flows/spec.py",
                    121,
                    "_edges_of",
                    'raise ValueError(f"Invalid flow spec: task {task.name} has no upstream {upstream}")',
                ),
            ],
            type_name="ValueError",
        ),
        method="POST",
        path="/deployments",
        weight=14,
        body=_deployment,
    ),
    Scenario(
        name="dependency cycle",
        type="DependencyCycleError",
        message="cycle: extract -> transform -> extract",
        traceback=raised(
            [
                *REQUEST,
                Call("dagy/api/deployments.py", 48, "deploy", "graph.check_order()"),
                Call("dagy/flows/graph.py", 66, "check_order", "raise DependencyCycleError(path)"),
            ],
            type_name="dagy.errors.DependencyCycleError",
        ),
        method="POST",
        path="/deployments",
        weight=6,
        body=_deployment,
    ),
    Scenario(
        name="syntax error in a deployed flow",
        type="SyntaxError",
        message="expected ':' (orders.py, line 31)",
        traceback=raised(
            [
                *REQUEST,
                Call("dagy/api/deployments.py", 52, "deploy", "load_bundle(bundle)"),
                Call(
                    "dagy/flows/bundle.py",
                    79,
                    "load_bundle",
                    "spec.loader.exec_module(module)",
                ),
                Call("<frozen importlib._bootstrap_external>", 936, "exec_module"),
                Call("<frozen importlib._bootstrap_external>", 1074, "get_code"),
                Call("<frozen importlib._bootstrap_external>", 1004, "source_to_code"),
                Call("<frozen importlib._bootstrap>", 241, "_call_with_frames_removed"),
            ],
            '  File "/tmp/dagy-bundle-x7k2/flows/orders.py", line 31\n'
            "    def load_orders(day: date) -> DataFrame\n"
            "                                           ^\n"
            "SyntaxError: expected ':'",
        ),
        method="POST",
        path="/deployments",
        weight=4,
        body=_deployment,
    ),
    Scenario(
        name="endless nesting of a spec",
        type="RecursionError",
        message="maximum recursion depth exceeded while calling a Python object",
        traceback=raised(
            [
                *REQUEST,
                Call("dagy/api/flows.py", 71, "preview", "return render_tree(body.root)", "render_tree(body.root)"),
                *[
                    Call(
                        "dagy/flows/tree.py",
                        26,
                        "render_tree",
                        "children = [render_tree(child) for child in node.children]",
                        "[render_tree(child) for child in node.children]",
                    ),
                    Call(
                        "dagy/flows/tree.py",
                        26,
                        "<listcomp>",
                        "children = [render_tree(child) for child in node.children]",
                        "render_tree(child)",
                    ),
                ],
                *[Call("dagy/flows/tree.py", 31, "_resolve", "return _resolve(node.parent)", "_resolve(node.parent)")]
                * 3,
            ],
            "  [Previous line repeated 974 more times]\nRecursionError: {message}",
        ),
        method="POST",
        path="/flows/preview",
        weight=4,
        body=lambda v: {"root": {"name": v["flow"], "children": [{"name": v["task"], "children": [{"ref": "root"}]}]}},
    ),
    Scenario(
        name="rejected parameters in a large body",
        type="ParameterValidationError",
        message="{rejected} values rejected; first: parameters.orders[97].amount: None is not a decimal",
        traceback=raised(
            [
                *REQUEST,
                Call(
                    "dagy/api/runs.py",
                    84,
                    "create_run",
                    "parameters = flow.signature.validate(body.parameters)",
                    "flow.signature.validate(body.parameters)",
                ),
                Call("dagy/flows/signature.py", 133, "validate", "raise ParameterValidationError(rejected)"),
            ],
            type_name="dagy.errors.ParameterValidationError",
        ),
        method="POST",
        path="/runs",
        weight=3,
        body=_orders,
    ),
    Scenario(
        name="flow with a name in many scripts",
        type="LookupError",
        message="Kein Flow mit dem Namen „Tagesabschluss Zürich – 売上集計 📈“ (gesucht: {flow})",
        traceback=raised(
            [
                *REQUEST,
                Call("dagy/api/flows.py", 45, "get_flow", "flow = find_flow(name)", "find_flow(name)"),
                Call(
                    "dagy/flows/selectors.py",
                    19,
                    "find_flow",
                    'raise LookupError(f"Kein Flow mit dem Namen „{name}“ (gesucht: {wanted})")',
                ),
            ],
            type_name="LookupError",
        ),
        method="GET",
        path="/flows/Tagesabschluss Zürich – 売上集計 📈",
        weight=5,
        query=lambda v: {"sprache": "de-CH", "größe": str(v["page"])},
    ),
)

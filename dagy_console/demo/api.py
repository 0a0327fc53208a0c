"""`/demo/error`, which fails on purpose: to see a trace on its way from a request to the list."""

from django.http import HttpRequest

from dagy_console.core.api import StrictRouter

router = StrictRouter()


class DemoError(RuntimeError):
    """What the hidden endpoint raises."""


@router.api_operation(["GET", "POST"], "/demo/error", auth=None, include_in_schema=False)
def raise_error(request: HttpRequest) -> None:
    accounts: dict[str, str] = {}
    try:
        accounts["ledger"]
    except KeyError as error:
        raise DemoError("The demo endpoint was asked to fail, and did") from error

"""What Prometheus reads at `/metrics`: figures of what all processes share, asked for when it asks.

They come from rows and from what the checks of /health found, so that it makes no difference which process answers.
"""

import ipaddress
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import structlog
from django.conf import settings
from django.http import HttpRequest
from django.utils.crypto import constant_time_compare
from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

import dagy_console
from dagy_console.core import health
from dagy_console.core.errors import NotAuthenticated
from dagy_console.core.http import bearer_token

log = structlog.get_logger(__name__)
# A figure, or one for each value of the gauge's label; None where there is none.
Figures = float | Mapping[str, float] | None
_STATES = (health.Status.HEALTHY, health.Status.DEGRADED, health.Status.UNHEALTHY)


@dataclass(frozen=True, slots=True)
class Gauge:
    name: str
    help: str
    read: Callable[[], Figures]
    label: str = ""


_gauges: dict[str, Gauge] = {}


def register(*gauges: Gauge) -> None:
    _gauges.update({gauge.name: gauge for gauge in gauges})


def names() -> set[str]:
    """Of all that is told."""
    return {"dagy_build_info", "dagy_metrics_unread", *_gauges}


def registry() -> CollectorRegistry:
    """Reads everything when it is written out."""
    made = CollectorRegistry(auto_describe=False)
    made.register(_Everything())
    return made


class _Everything(Collector):
    """One figure that can't be read takes no other with it."""

    def collect(self) -> Iterator[GaugeMetricFamily]:
        build = GaugeMetricFamily("dagy_build_info", "1, with the version that runs.", labels=["version"])
        build.add_metric([dagy_console.__version__], 1)
        yield build
        unread = 0
        for gauge in _gauges.values():
            try:
                yield _family(gauge, gauge.read())
            except Exception as error:  # noqa: BLE001 - whoever watches is told the rest, and of how many this is true
                unread += 1
                log.error("metrics.unread", gauge=gauge.name, error=f"{type(error).__name__}: {error}".strip())
        yield GaugeMetricFamily("dagy_metrics_unread", "How many of these figures could not be read now.", value=unread)


def _family(gauge: Gauge, figures: Figures) -> GaugeMetricFamily:
    if not isinstance(figures, Mapping):
        return GaugeMetricFamily(gauge.name, gauge.help, value=figures)
    family = GaugeMetricFamily(gauge.name, gauge.help, labels=[gauge.label])
    for value, figure in figures.items():
        family.add_metric([value], figure)
    return family


def states() -> dict[str, float]:
    """Of each component of /health."""
    return {part.name: _STATES.index(part.status) for part in health.report().components}


def require_reader(request: HttpRequest) -> None:
    """Who has DAGY_METRICS_TOKEN; without one, who asks from inside, by no way that leads outside.

    Raises NotAuthenticated.
    """
    if settings.METRICS_TOKEN:
        if constant_time_compare(bearer_token(request.headers.get("Authorization", "")), settings.METRICS_TOKEN):
            return
        raise NotAuthenticated("Send `Authorization: Bearer <DAGY_METRICS_TOKEN>`.")
    hops = [*request.headers.get("X-Forwarded-For", "").split(","), request.META.get("REMOTE_ADDR", "")]
    if not all(_is_inside(hop.strip()) for hop in hops if hop.strip()):
        raise NotAuthenticated("DAGY_METRICS_TOKEN is not set here: only internal addresses may read this.")


def _is_inside(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_private
    except ValueError:
        return False

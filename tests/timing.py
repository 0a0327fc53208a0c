"""The limit on how long one test may take."""

from __future__ import annotations

import os

import pytest

# `make test-long` runs every test at its full size.
LONG = bool(os.environ.get("DAGY_TEST_LONG"))
# On a core of its own.
LIMIT_SECONDS = 5.0


class TimeLimit:
    """Fails the run where a test without the mark `slow` takes longer than LIMIT_SECONDS; where test processes share
    cores, longer by as much."""

    def __init__(self, processes: int) -> None:
        self.limit = LIMIT_SECONDS * max(1, processes / (os.cpu_count() or 1))
        self.too_slow: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" and report.duration > self.limit and "slow" not in report.keywords:
            self.too_slow.append(f"{report.duration:.1f} s {report.nodeid}")

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.too_slow and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if not self.too_slow:
            return
        terminalreporter.section(f"slower than {self.limit:.0f} s", red=True)
        for line in sorted(self.too_slow, reverse=True):
            terminalreporter.write_line(line)
        terminalreporter.write_line("Make them faster, or say why they can't be: @pytest.mark.slow('the reason').")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "slow(reason): may take longer than the limit of a test, for this reason")
    # xdist's workers report to the controller, which judges.
    if not LONG and not hasattr(config, "workerinput"):
        config.pluginmanager.register(TimeLimit(config.getoption("numprocesses", None) or 1))

"""What every test may use: the folder of public data, and the count of what was left out without it."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
DATA = Path(os.environ.get("REFLEXD_TEST_DATA", ROOT.parent / "shared"))


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add what makes some tests run longer; the folders' own conftest.py say more."""
    parser.addoption("--long", action="store_true", help="more often: each fault of the lab fifty times, a million of each frame")


def pytest_configure() -> None:
    """Let Ctrl-C reach the processes of tests: a shell that starts pytest in the background has it ignored by all."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def shared() -> Path:
    """Give the folder of public networks, pictures and data; its README tells where they come from."""
    if not (DATA / "data" / "README.md").is_file():
        pytest.skip(f"no test data at {DATA}; set REFLEXD_TEST_DATA to the folder that has data/README.md")
    return DATA


@pytest.fixture(scope="session")
def root() -> Path:
    """Give the top of the checkout."""
    return ROOT


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Count what did not run; where nothing may be left out, that is a failure."""
    skipped = len(terminalreporter.stats.get("skipped", []))
    if skipped:
        terminalreporter.write_line(f"{skipped} tests were skipped; the reasons stand above")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a run in which something was skipped although nothing may be."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("REFLEXD_NO_SKIPS") and reporter is not None and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED

"""The guest for every test of this folder, and what is kept of one that failed."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.machine import Machine
from tests.lab.service import Service

ROOT = Path(__file__).resolve().parent.parent.parent
LAB = ROOT / "scripts" / "lab"
REPORT = pytest.StashKey[pytest.TestReport]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Say how often, and in which guest."""
    parser.addoption("--long", action="store_true", help="each fault fifty times")
    parser.addoption("--lab-running", action="store_true", help="in the guest that is up, with what is installed in it")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Let fixtures know how the test went."""
    report = yield
    if report.when == "call":
        item.stash[REPORT] = report
    return report


@pytest.fixture(scope="session")
def machine(request: pytest.FixtureRequest) -> Iterator[Machine]:
    """Give the guest, freshly booted with this checkout. A lab that does not come up is an error, never a skip."""
    running = request.config.getoption("--lab-running")
    if not running:
        subprocess.run([LAB, "up"], check=True)
    folder = Path(subprocess.run([LAB, "path"], check=True, capture_output=True, text=True).stdout.strip())
    shutil.rmtree(folder / "failed", ignore_errors=True)
    yield Machine(folder)
    if not running:
        subprocess.run([LAB, "down"], check=True)


@pytest.fixture
def service(machine: Machine, request: pytest.FixtureRequest) -> Iterator[Service]:
    """Give the service, stopped and as it was installed."""
    one = Service(machine)
    one.forget()
    began = time.monotonic()
    yield one
    report = request.node.stash.get(REPORT, None)
    if report is None or report.failed:
        kept = keep(machine, request.node.name, one.since)
        print(f"\nconsole and journal of the failure: {kept}")
    print(f"\n{request.node.name}: {time.monotonic() - began:.0f} s")
    one.forget()


def keep(machine: Machine, name: str, since: str) -> Path:
    """Copy what tells why a test failed to the lab's folder."""
    folder = machine.run_folder.parent / "failed" / name.translate(str.maketrans("/[] ", "____"))
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(machine.run_folder / "console.log", folder)
    for file, command in {
        "journal.txt": f"journalctl --no-pager -o short-monotonic --after-cursor={shlex.quote(since)}",
        "status.txt": "systemctl status --no-pager -l reflexd; systemctl cat reflexd; cat /etc/reflexd/reflexd.toml",
    }.items():
        (folder / file).write_text(machine.ask(command, 60 * machine.pace).out)
    return folder

"""The guest for every test of this folder, and what is kept of one that failed."""

from __future__ import annotations

import fcntl
import os
import shlex
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.lab.machine import Machine
from tests.lab.service import Service

ROOT = Path(__file__).resolve().parent.parent.parent
LAB = ROOT / "scripts" / "lab"
NO_LAB = 3      # exit status of pytest when the scenarios could not be run
REPORT = pytest.StashKey[pytest.TestReport]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Say in which guest."""
    parser.addoption("--lab-running", action="store_true", help="in the guest that is up, with what is installed in it")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep for the end what takes reflexd out of the guest: putting it back takes a minute under emulation."""
    items.sort(key=lambda item: item.path.name == "test_package.py")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Let fixtures know how the test went."""
    report = yield
    if report.when == "call":
        item.stash[REPORT] = report
    return report


@pytest.fixture(scope="session")
def machine(request: pytest.FixtureRequest) -> Iterator[Machine]:
    """Give the guest, freshly booted with this checkout. A lab that does not come up ends the run, and is never a skip."""
    folder = Path(subprocess.run([LAB, "path"], check=True, capture_output=True, text=True).stdout.strip())
    with held(folder), booted(folder, request.config.getoption("--lab-running")) as one:
        shutil.rmtree(folder / "failed", ignore_errors=True)
        yield one


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Have the lab for this run alone; whoever comes second is told at once."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = (folder / "lock").read_text().strip()
            pytest.exit(f"the lab {folder} is in use by {holder}: wait for it, or name another folder with REFLEXD_LAB", NO_LAB)
        lock.truncate(0)
        lock.write(f"pytest, process {os.getpid()}\n")
        lock.flush()
        yield


@contextmanager
def booted(folder: Path, running: bool) -> Iterator[Machine]:
    """Boot the guest and end it, or take the one that is up."""
    environment = {**os.environ, "REFLEXD_LAB_HELD": "tests"}
    if not running and subprocess.run([LAB, "up"], check=False, env=environment).returncode != 0:
        pytest.exit("the lab did not come up, so NOTHING of tests/lab was tested", NO_LAB)
    one = Machine(folder)
    if not one.runs:
        pytest.exit("no guest is up; start it with scripts/lab up, or leave --lab-running out", NO_LAB)
    yield one
    if not running:
        subprocess.run([LAB, "down"], env=environment, check=True)


@pytest.fixture
def service(machine: Machine, request: pytest.FixtureRequest) -> Iterator[Service]:
    """Give the service, stopped and as it was installed. What a test leaves is undone when another wants it."""
    one = Service(machine)
    one.forget()
    with watched(one, request):
        yield one


@contextmanager
def watched(service: Service, request: pytest.FixtureRequest) -> Iterator[None]:
    """Take the time of a test, and keep what tells why it failed."""
    service.begin()
    began = time.monotonic()
    failed = True
    try:
        yield
        report = request.node.stash.get(REPORT, None)
        failed = report is not None and report.failed
    finally:
        if failed:
            print(f"\nconsole and journal of the failure: {keep(service.machine, request.node.name, service.since)}")
        print(f"\n{request.node.name}: {time.monotonic() - began:.0f} s")


def keep(machine: Machine, name: str, since: str) -> Path:
    """Copy what tells why a test failed to the lab's folder."""
    folder = machine.run_folder.parent / "failed" / name.translate(str.maketrans("/[] ", "____"))
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(machine.run_folder / "console.log", folder)
    for file, command in {
        "journal.txt": f"journalctl --no-pager -o short-monotonic --after-cursor={shlex.quote(since)}",
        "status.txt": "systemctl status --no-pager -l reflexd; systemctl cat reflexd; cat /etc/reflexd/reflexd.toml",
    }.items():
        try:
            text = machine.ask(command, 60 * machine.pace).out
        except (OSError, TimeoutError) as error:      # the guest itself may be what died; its console is kept then
            text = f"the guest did not tell: {error}\n"
        (folder / file).write_text(text)
    return folder

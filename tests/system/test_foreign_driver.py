"""Drivers of another package: built, installed, found by their entry points, held to the contract, and run by the daemon."""

from __future__ import annotations

import os
import re
import shutil
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.pages import ROOT

EXAMPLE = ROOT / "docs" / "examples" / "driver"
EVENT = struct.Struct("@llHHi")      # of the kernel's input devices


class Foreign:
    """The package as somebody else has it, and an environment in which it is installed or not."""

    def __init__(self, folder: Path) -> None:
        self.source, self.installed = folder / "source", folder / "installed"
        shutil.copytree(EXAMPLE, self.source, ignore=shutil.ignore_patterns("*.egg-info", "build", "__pycache__"))
        done = self.run(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index", "--no-build-isolation",
                         "--no-deps", "--target", str(self.installed), str(self.source)])
        assert done.returncode == 0, done.stdout + done.stderr

    def environment(self, installed: bool) -> dict[str, str]:
        return {**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONPATH": str(self.installed) if installed else ""}

    def run(self, arguments: list[str], installed: bool = True, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, *arguments], cwd=cwd, capture_output=True, text=True, timeout=300, check=False,
                              env=self.environment(installed))


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Foreign:
    return Foreign(tmp_path_factory.mktemp("foreign"))


def check(foreign: Foreign, config: Path, installed: bool = True) -> subprocess.CompletedProcess[str]:
    return foreign.run(["-m", "reflexd.ctl", "check", str(config)], installed)


def test_the_contract_passes_in_its_own_tests(foreign: Foreign) -> None:
    done = foreign.run(["-m", "pytest", "-q", "-p", "no:cacheprovider"], cwd=foreign.source)
    assert done.returncode == 0, done.stdout + done.stderr
    counted = re.search(r"^(\d+) passed in", done.stdout, re.MULTILINE)
    assert counted is not None
    assert int(counted[1]) > 30, "every promise, for a sensor, a camera and an actuator"


def test_a_driver_that_breaks_a_promise_fails_its_own_tests_with_what_was_compared(foreign: Foreign, tmp_path: Path) -> None:
    copy = tmp_path / "source"
    shutil.copytree(foreign.source, copy)
    bad = copy / "src" / "reflexd_driver_example"
    good = (bad / "sysfs_led.py").read_text()
    (bad / "sysfs_led.py").write_text(good.replace("                self.safe()\n", "                pass\n"))
    assert (bad / "sysfs_led.py").read_text() != good
    done = foreign.run(["-m", "pytest", "-q", "-p", "no:cacheprovider", "-o", "pythonpath=src", "-k", "Led and safe_level"],
                       cwd=copy)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "close() leaves it driven at its safe level" in done.stdout
    assert re.search(r"assert 1.0 == 0.0", done.stdout), "asserts tell what they compared"


def test_a_configuration_that_names_it_is_right_where_the_package_is_installed(foreign: Foreign) -> None:
    done = check(foreign, EXAMPLE / "reflexd.toml")
    assert done.returncode == 0, done.stdout + done.stderr
    without = check(foreign, EXAMPLE / "reflexd.toml", installed=False)
    assert without.returncode == 78
    assert '"usb-pedal"' in without.stdout + without.stderr


def test_its_keys_are_checked_as_those_of_any_driver(foreign: Foreign, tmp_path: Path) -> None:
    text = (EXAMPLE / "reflexd.toml").read_text()
    (tmp_path / "reflexd.toml").write_text(text.replace('device = "/dev', 'devise = "/dev'))
    done = check(foreign, tmp_path / "reflexd.toml")
    assert done.returncode == 78
    assert 'did you mean "device"' in done.stdout + done.stderr


def test_the_daemon_runs_it(foreign: Foreign, tmp_path: Path) -> None:
    light = device(tmp_path)
    command = [sys.executable, "-m", "reflexd", "--config", str(tmp_path / "reflexd.toml"), "--seconds", "60"]
    pedal = os.open(tmp_path / "pedal", os.O_RDWR)
    daemon = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=foreign.environment(installed=True))
    try:
        until(lambda: light.read_text() == "0\n", daemon)
        os.write(pedal, EVENT.pack(0, 0, 1, 48, 1))
        until(lambda: light.read_text() == "255\n", daemon)
        os.write(pedal, EVENT.pack(0, 0, 1, 48, 0))
        until(lambda: light.read_text() == "0\n", daemon)
        os.write(pedal, EVENT.pack(0, 0, 1, 48, 1))
        until(lambda: light.read_text() == "255\n", daemon)
    finally:
        daemon.terminate()
        said = daemon.communicate(timeout=30)[1]
        os.close(pedal)
    assert daemon.returncode == 0, said
    assert light.read_text() == "0\n", "the safe level, as after every stop"


def device(folder: Path) -> Path:
    """Make the pedal, the LED and a configuration of both; gives the LED's file."""
    os.mkfifo(folder / "pedal")
    (folder / "leds" / "ACT").mkdir(parents=True)
    (folder / "leds" / "ACT" / "max_brightness").write_text("255\n")
    (folder / "leds" / "ACT" / "brightness").write_text("17\n")
    text = (EXAMPLE / "reflexd.toml").read_text()
    text = re.sub(r'device = ".*"', f'device = "{folder}/pedal"', text)
    text = text.replace('led = "ACT"', f'led = "ACT"\nfolder = "{folder}/leds"')
    (folder / "reflexd.toml").write_text(text + f'\n[daemon]\nstate_dir = "{folder}/state"\nsocket = "{folder}/socket"\n')
    return folder / "leds" / "ACT" / "brightness"


def until(seen: Callable[[], Any], daemon: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 30
    while not seen():
        assert daemon.poll() is None, daemon.stderr.read() if daemon.stderr else ""
        assert time.monotonic() < deadline
        time.sleep(0.02)

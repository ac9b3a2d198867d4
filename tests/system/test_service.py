"""The unit: what systemd thinks of it, and what it must say for S3 to hold."""

from __future__ import annotations

import configparser
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

EXPOSURE = 8        # of 100 tenths: 0.8


def install(root: Path, check: bool = False, bindir: str = "/usr/bin") -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "reflexd.ctl", "install-service", "--root", root, "--bindir", bindir],
                          capture_output=True, text=True, check=check, cwd="/")


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A root in which the service was put by the script, as for an image."""
    for program in ("reflexd", "reflexctl", "reflexd-safe"):
        path = tmp_path / "usr" / "bin" / program
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("#!/bin/sh\n")
        path.chmod(0o755)
    install(tmp_path, check=True)
    return tmp_path


def unit(installed: Path) -> Path:
    return installed / "usr" / "lib" / "systemd" / "system" / "reflexd.service"


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not here; it comes with the package systemd")
    return subprocess.run(["systemd-analyze", *arguments], capture_output=True, text=True, check=False)


def test_systemd_finds_nothing_wrong_with_the_unit(installed: Path) -> None:
    done = analyze("verify", f"--root={installed}", "reflexd.service")
    said = (done.stdout + done.stderr).splitlines()
    complaints = [line for line in said if "reflexd.service" in line and "not found" not in line]
    assert complaints == []


def test_the_sandbox_leaves_an_exposure_of_at_most_0_8(installed: Path) -> None:
    done = analyze("security", "--offline=yes", f"--threshold={EXPOSURE}", "--no-pager", str(unit(installed)))
    assert done.returncode == 0, done.stdout[-400:] + done.stderr


def test_the_unit_says_what_the_safe_state_rests_on(installed: Path) -> None:
    read = configparser.RawConfigParser(strict=False)
    read.optionxform = str   # type: ignore[assignment,method-assign]
    read.read_string(unit(installed).read_text())
    service = read["Service"]
    wanted = {
        "Type": "notify", "WatchdogSec": "2s", "TimeoutAbortSec": "500ms", "LimitCORE": "0", "Restart": "always",
        "RestartPreventExitStatus": "78", "ExecStopPost": "/usr/bin/reflexd-safe", "PrivateNetwork": "yes",
        "RestrictAddressFamilies": "AF_UNIX", "DevicePolicy": "closed", "MemoryDenyWriteExecute": "yes",
        "RuntimeDirectory": "reflexd", "RuntimeDirectoryPreserve": "restart",
        "WorkingDirectory": "/run/reflexd", "StateDirectory": "reflexd",
    }
    assert {key: service[key] for key in wanted} == wanted
    assert read["Unit"]["StartLimitIntervalSec"] == "0", "crashes never end the service for good"


def test_installing_again_keeps_the_configuration(installed: Path) -> None:
    config = installed / "etc" / "reflexd" / "reflexd.toml"
    config.write_text("schema = 1\n# mine\n")
    install(installed, check=True)
    assert config.read_text().endswith("# mine\n")


def test_installing_without_the_program_says_what_is_missing(tmp_path: Path) -> None:
    done = install(tmp_path)
    assert done.returncode == 1
    assert "reflexd is not there; install reflexd first, or say --bindir" in done.stderr


@pytest.mark.parametrize("folder", ["re flexd", "p%h", "x\nUser=root", "$HOME", 'q"uote'])
def test_a_folder_that_systemd_reads_otherwise_is_refused(tmp_path: Path, folder: str) -> None:
    done = install(tmp_path, bindir=f"/opt/{folder}")
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1), done.stderr
    assert "systemd reads such a path otherwise" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_written_is_told_with_its_place_and_leaves_nothing_half_done(installed: Path) -> None:
    unit(installed).unlink()
    unit(installed).mkdir()
    done = install(installed)
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1), done.stderr
    assert f"{unit(installed)}: is a directory" in done.stderr
    assert not list(unit(installed).parent.glob(".*"))

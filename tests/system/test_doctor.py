"""Doctor and a real daemon in the foreground, as a user runs both; and the sandbox's own attempts."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from reflexd import sandbox
from reflexd.protocol import ControlError, ask
from tests.system.meter import EXAMPLE


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Path]:
    """Give the configuration of a daemon that runs."""
    for file in EXAMPLE.iterdir():
        shutil.copy(file, tmp_path)
    path = tmp_path / "reflexd.toml"
    path.write_text(re.sub(r'socket = "[^"]*"', 'socket = "control.sock"', path.read_text()))
    process = subprocess.Popen([sys.executable, "-m", "reflexd", "--config", str(path)], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 20
    while not answers(tmp_path / "control.sock") and time.monotonic() < deadline:
        time.sleep(0.05)
    yield path
    process.terminate()
    process.wait(10)


def answers(path: Path) -> bool:
    try:
        return bool(ask(path, "status"))
    except ControlError:
        return False


def doctor(config: Path, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "reflexd.ctl", "doctor", "--config", str(config), *options]
    given = {name: value for name, value in os.environ.items() if name != "REFLEXD_SOCKET"} | environment
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=given)


def test_a_daemon_in_the_foreground_is_found_and_has_no_sandbox(daemon: Path) -> None:
    done = doctor(daemon, "--json", "--bundle", str(daemon.parent / "support.tar.gz"))
    found = {one["id"]: one for one in json.loads(done.stdout)["findings"]}
    assert {"sandbox-none", "pins-mock"} <= set(found), found
    assert {"daemon-missing", "configuration", "check-failed", "bundle-altered"}.isdisjoint(found), found
    worst = {one["severity"] for one in found.values()}
    assert done.returncode == (4 if "fault" in worst else 3)
    with tarfile.open(daemon.parent / "support.tar.gz") as tar:
        status = json.loads(tar.extractfile("reflexd-support/status.json").read())   # type: ignore[union-attr]
    assert status["cameras"], "the daemon's own answer"


def test_for_a_person_each_finding_has_what_was_found_and_a_remedy_and_the_last_line_counts(daemon: Path) -> None:
    lines = doctor(daemon).stdout.splitlines()
    heads = [line for line in lines[:-1] if not line.startswith("    ")]
    assert [line.strip().split(":")[0] for line in lines[:-1] if line.startswith("    ")] == ["found", "remedy"] * len(heads)
    order = [("fault", "warning", "note").index(line.split()[0]) for line in heads]
    assert order == sorted(order)
    assert re.fullmatch(r"\d+ faults?, \d+ warnings?, \d+ notes?", lines[-1])


def test_the_list_needs_nothing(tmp_path: Path) -> None:
    done = doctor(tmp_path / "none", "--list")
    assert done.returncode == 0
    assert "fault camera-busy: another program has the camera\n    stop it: sudo kill PID\n" in done.stdout


@pytest.mark.parametrize("library", ["numpy", "pydantic", "cv2", "tree_sitter"])
def test_a_broken_library_breaks_neither_doctor_nor_the_bundle(library: str, tmp_path: Path) -> None:
    (tmp_path / f"{library}.py").write_text("raise ImportError('cannot open shared object file')\n")
    done = doctor(EXAMPLE / "reflexd.toml", "--json", "--bundle", str(tmp_path / "support.tar.gz"), PYTHONPATH=str(tmp_path))
    assert "Traceback" not in done.stderr
    assert done.returncode == 4
    found = [one for one in json.loads(done.stdout)["findings"] if one["id"] == "library-missing"]
    assert f"{library}: cannot open shared object file" in [one["found"] for one in found]
    with tarfile.open(tmp_path / "support.tar.gz") as tar:
        assert "reflexd-support/configuration/00-reflexd.toml" in tar.getnames()
    told = doctor(EXAMPLE / "reflexd.toml", PYTHONPATH=str(tmp_path))
    assert (told.returncode, "Traceback" in told.stderr) == (4, False), told.stderr


@pytest.fixture
def attempts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, object]]:
    """Give what an unconfined process may do, by what was attempted."""
    for name in ("state", "run"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path / "gone"))
    monkeypatch.setenv("INVOCATION_ID", "1")
    before = set(Path("/etc").iterdir())
    told = sandbox.probe(("/dev/null", "/dev/none"))
    assert told["service"] is True
    assert set(Path("/etc").iterdir()) == before
    return {str(one["what"]): one for one in told["attempts"]}   # type: ignore[attr-defined]


def test_without_a_sandbox_every_attempt_goes_through(attempts: dict[str, dict[str, object]], tmp_path: Path) -> None:
    assert attempts["socket(AF_INET)"] == {"kind": "network", "what": "socket(AF_INET)", "held": False, "why": ""}
    assert attempts["socket(AF_NETLINK)"]["held"] is False
    assert attempts["a nameless file in /etc"]["why"] != errno.errorcode[errno.EROFS]
    assert attempts["open(/dev/null)"]["held"] is False
    assert "open(/dev/none)" not in attempts
    assert attempts[str(tmp_path / "state")]["held"] is True
    assert attempts[str(tmp_path / "gone")] == {"kind": "state", "what": str(tmp_path / "gone"), "held": False,
                                               "why": "No such file or directory"}
    assert list((tmp_path / "state").iterdir()) == []


def test_in_the_foreground_there_is_no_sandbox_to_try(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("STATE_DIRECTORY", "RUNTIME_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)
    assert sandbox.probe(())["service"] is False

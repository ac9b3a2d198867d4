"""reflexd as a process: how it ends, what it refuses, and what it says on the way."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.stopwatch import Stopwatch
from tests.system.meter import EXAMPLE, ROOT

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """The shipped example in a folder of its own."""
    for file in EXAMPLE.iterdir():
        shutil.copy(file, tmp_path)
    path = tmp_path / "reflexd.toml"
    path.write_text(re.sub(r'socket = "[^"]*"', 'socket = "control.sock"', path.read_text()))
    return path


def reflexd(config: Path, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "reflexd", "--config", str(config), *options]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


def reflexctl(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "reflexd.ctl", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def status(config: Path) -> Any:
    done = reflexctl("status", "--json", "--socket", str(config.parent / "control.sock"))
    return json.loads(done.stdout) if done.returncode == 0 else None


@pytest.fixture
def running(config: Path) -> Iterator[subprocess.Popen[str]]:
    """A daemon that has decided on some frames."""
    daemon = reflexd(config)
    deadline = time.monotonic() + 20
    while not (status(config) or {"decided": 0})["decided"] and time.monotonic() < deadline:
        time.sleep(0.1)
    yield daemon
    if daemon.poll() is None:
        daemon.kill()
    daemon.communicate()


def test_frames_counts_predictions_that_were_decided(config: Path) -> None:
    daemon = reflexd(config, "--frames", "5")
    assert "5 predictions were decided" in daemon.communicate(timeout=30)[1]
    assert daemon.returncode == 0


@pytest.mark.fault("F65", bound="1 s", outcome="every output safe, what waits is written, status 0")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_f65_a_signal_ends_it_safe_and_flushed_within_a_second(running: subprocess.Popen[str], number: signal.Signals) -> None:
    with Stopwatch() as took:
        running.send_signal(number)
        log = running.communicate(timeout=10)[1]
    assert took.seconds < 1.0
    assert running.returncode == 0
    assert log.splitlines()[-1].endswith(f"every output safe, leaving: {number.name}")


@pytest.mark.fault("F70", bound="at start", outcome="the second refuses; the first goes on")
def test_f70_a_second_daemon_refuses_and_the_first_goes_on(running: subprocess.Popen[str], config: Path) -> None:
    second = reflexd(config)
    assert "another reflexd is running" in second.communicate(timeout=20)[1]
    assert second.returncode == 69
    assert status(config)["state"] == "RUN"


def test_a_pin_that_cannot_be_had_ends_the_start_with_one_line(config: Path) -> None:
    config.write_text(config.read_text().replace('factory = "mock"', 'factory = "lgpio"'))
    daemon = reflexd(config)
    log = daemon.communicate(timeout=20)[1]
    assert daemon.returncode == 69
    assert "Traceback" not in log
    assert len([line for line in log.splitlines() if "error: " in line]) == 1


def wait_in_connect(folder: Path) -> dict[str, str]:
    """Make an environment in which the recorder's connect waits, or raises what no driver may."""
    (folder / "sitecustomize.py").write_text(
        "import os, threading\n"
        "from reflexd_drivers.actuators import recorder\n"
        "def connect(settings):\n"
        "    if os.environ['CONNECT'] == 'bug':\n"
        "        raise AttributeError('a mistake in the driver')\n"
        "    open(os.environ['CONNECT'], 'w').close()\n"
        "    threading.Event().wait(20)\n"
        "recorder.connect = connect\n")
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])}


@pytest.fixture
def recorded(config: Path) -> Path:
    config.write_text(config.read_text() + '\n[actuator.record]\ndriver = "recorder"\npath = "record"\nsafe = "off"\n')
    return config


def test_an_interrupt_during_the_start_ends_it_at_once_without_exit_hooks(recorded: Path, tmp_path: Path) -> None:
    entered = tmp_path / "entered"
    environment = {**wait_in_connect(tmp_path), "CONNECT": str(entered)}
    command = [sys.executable, "-m", "reflexd", "--config", str(recorded)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as daemon:
        deadline = time.monotonic() + 20
        while not entered.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        daemon.send_signal(signal.SIGHUP)
        time.sleep(0.2)
        assert daemon.poll() is None, "too early to reload, and no reason to die"
        daemon.send_signal(signal.SIGINT)
        log = daemon.communicate(timeout=5)[1]
    assert daemon.returncode == -signal.SIGINT
    assert "Traceback" not in log


def test_a_mistake_in_a_driver_during_the_start_ends_it_with_70(recorded: Path, tmp_path: Path) -> None:
    environment = {**wait_in_connect(tmp_path), "CONNECT": "bug"}
    command = [sys.executable, "-m", "reflexd", "--config", str(recorded)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False, env=environment)
    assert done.returncode == 70
    assert "programming error: AttributeError('a mistake in the driver')" in done.stderr


def test_a_wrong_configuration_ends_it_with_78_and_no_traceback(config: Path) -> None:
    config.write_text(config.read_text().replace('safe = "off"', 'safe = "of"', 1))
    daemon = reflexd(config)
    said = daemon.communicate(timeout=20)[1]
    assert daemon.returncode == 78
    assert re.search(r"reflexd\.toml:\d+:\d+: actuator\.valve\.safe: ", said)
    assert "Traceback" not in said


def test_a_dry_run_decides_but_says_that_nothing_is_driven(config: Path) -> None:
    daemon = reflexd(config, "--dry-run", "--seconds", "10")
    log = daemon.communicate(timeout=40)[1]
    assert "valve on: rule" in log
    assert "(dry run: not driven)" in log


def test_status_says_how_everything_is_and_why(running: subprocess.Popen[str], config: Path) -> None:
    done = reflexctl("status", "--socket", str(config.parent / "control.sock"))
    assert done.returncode == 0
    for wanted in ("RUN", "camera meter: run", "model meter: run", "sensor away: run", 'rule "water flows while away"',
                   "output valve: off, safe: no rule claims it", "frame to pin: p50"):
        assert wanted in done.stdout


def test_status_without_a_daemon_is_one_line(tmp_path: Path) -> None:
    done = reflexctl("status", "--socket", str(tmp_path / "none.sock"))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1
    assert "reflexd does not run" in done.stderr


def test_a_snapshot_shows_the_frame_and_what_the_network_is_given(running: subprocess.Popen[str], config: Path) -> None:
    file = config.parent / "seen.png"
    done = reflexctl("snapshot", str(file), "--socket", str(config.parent / "control.sock"))
    assert done.returncode == 0, done.stderr
    assert file.read_bytes().startswith(PNG)
    refused = reflexctl("snapshot", str(file), "--camera", "door", "--socket", str(config.parent / "control.sock"))
    assert refused.returncode == 1
    assert "no camera is called 'door'; say --camera with one of meter" in refused.stderr


def test_the_log_is_plain_in_a_terminal_and_has_priorities_under_systemd(config: Path) -> None:
    with (config.parent / "journal").open("w+") as journal:
        stat = os.fstat(journal.fileno())
        env = {**os.environ, "JOURNAL_STREAM": f"{stat.st_dev}:{stat.st_ino}"}
        command = [sys.executable, "-m", "reflexd", "--config", str(config), "--frames", "3"]
        subprocess.run(command, stderr=journal, env=env, check=True, timeout=30)
        journal.seek(0)
        lines = [line for line in journal.read().splitlines() if not line.startswith("INFO: ")]
    assert lines
    assert all(re.match(r"<[3-6]>", line) for line in lines)


def test_the_two_commands_say_what_they_accept() -> None:
    for module in ("reflexd", "reflexd.ctl"):
        done = subprocess.run([sys.executable, "-m", module, "--help"], capture_output=True, text=True, check=True)
        assert "usage: reflex" in done.stdout


def test_the_live_line_ends_with_a_summary() -> None:
    command = [sys.executable, str(ROOT / "scripts" / "live.py"), "--seconds", "9.5"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "valve: active 1 time;" in done.stdout
    assert re.search(r"frame to pin: p50 [\d.]+ ms, p99 [\d.]+ ms", done.stdout)
    assert "Try next:" in done.stdout


def reload(config: Path) -> subprocess.CompletedProcess[str]:
    return reflexctl("reload", "--socket", str(config.parent / "control.sock"))


def test_a_reload_exchanges_rules_and_says_what_changed(running: subprocess.Popen[str], config: Path) -> None:
    text = config.read_text().replace("rising_for_s = 2", "rising_for_s = 3")
    config.write_text(text.replace('name = "water', 'name = "a lot of water'))
    done = reload(config)
    assert (done.returncode, done.stdout) == (0, "rules: 1 added, 1 removed, 0 changed\n")
    assert list(status(config)["rules"]) == ["a lot of water flows while away"]
    running.send_signal(signal.SIGTERM)
    assert "the configuration was taken over: rules: 1 added, 1 removed" in running.communicate(timeout=10)[1]


def test_a_reload_logs_what_is_doubtful_about_the_configuration(running: subprocess.Popen[str], config: Path) -> None:
    config.write_text(config.read_text() + '\n[sensor.idle]\ndriver = "scripted"\npath = "away.csv"\n')
    assert reload(config).returncode == 0
    running.send_signal(signal.SIGTERM)
    assert "sensor.idle: no rule, model or [safety] uses this sensor" in running.communicate(timeout=10)[1]


@pytest.mark.fault("F59", bound="at the reload", outcome="the old configuration runs on; the command fails and tells the errors")
def test_f59_a_reload_with_errors_tells_their_place_and_the_old_one_runs_on(
        running: subprocess.Popen[str], config: Path) -> None:
    text = config.read_text()
    config.write_text(text.replace("rising_for_s = 2", 'rising_for_s = "long"'))
    done = reload(config)
    assert done.returncode == 1
    assert re.search(r"reflexd\.toml:\d+:\d+: rule\..*rising_for_s", done.stderr)
    assert status(config)["state"] == "RUN"
    running.send_signal(signal.SIGTERM)
    log = running.communicate(timeout=10)[1]
    assert "the old one runs on" in log
    assert "Traceback" not in log


def test_a_reload_exchanges_a_pin_while_the_camera_and_its_network_work_on(running: subprocess.Popen[str], config: Path) -> None:
    before = status(config)
    config.write_text(config.read_text().replace("GPIO17", "GPIO18"))
    done = reload(config)
    assert (done.returncode, done.stdout) == (0, "actuators: 0 added, 0 removed, 1 changed\n")
    after = status(config)
    assert after["pid"] == before["pid"]
    assert next(iter(after["models"].values()))["predictions"] > next(iter(before["models"].values()))["predictions"]


def test_a_reload_whose_device_does_not_open_says_why_and_the_old_one_runs_again(
        running: subprocess.Popen[str], config: Path) -> None:
    text = config.read_text()
    config.write_text(text + '\n[camera.other]\ndriver = "usb"\ndevice = "/dev/video99"\n')
    done = reload(config)
    assert done.returncode == 1
    assert "camera.other: /dev/video99" in done.stderr
    assert "the old configuration runs again" in done.stderr
    assert list(status(config)["cameras"]) == ["meter"]


def test_sighup_reloads_and_sigusr1_puts_the_state_into_the_log(running: subprocess.Popen[str], config: Path) -> None:
    running.send_signal(signal.SIGHUP)
    time.sleep(1.5)
    running.send_signal(signal.SIGUSR1)
    time.sleep(0.5)
    assert reflexctl("dump", "--socket", str(config.parent / "control.sock")).stdout == "the state is in the log\n"
    running.send_signal(signal.SIGTERM)
    log = running.communicate(timeout=10)[1]
    assert "the configuration was taken over: nothing changed" in log
    assert log.count("output valve: off, safe") == 2

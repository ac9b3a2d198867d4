"""reflexd-safe: what it sets after a death, what it says, and what it keeps for the next start."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import subprocess
import sys
import threading
import time
import tty
from pathlib import Path
from typing import Any

import pytest

from reflexd import aftermath, safe_state
from reflexd_drivers.actuators import pwm
from tests.drivers.kernel_pwm import KernelPwm
from tests.stopwatch import Stopwatch

SCRIPT = safe_state.__file__


def run(runtime: Path, state: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    env = {"RUNTIME_DIRECTORY": str(runtime), **({"STATE_DIRECTORY": str(state)} if state else {}), **environment}
    return subprocess.run([sys.executable, "-I", "-S", SCRIPT], capture_output=True, text=True, env=env, check=False, timeout=10)


def sysfs(path: Path, name: str = "fan", text: str = "0") -> dict[str, Any]:
    return {"name": name, "kind": "sysfs", "path": str(path), "text": text}


def test_every_output_is_set_and_named(tmp_path: Path) -> None:
    (tmp_path / "duty").write_text("900000")
    safe_state.write(str(tmp_path), [sysfs(tmp_path / "duty", text="0000000")], 1.0)
    done = run(tmp_path)
    assert done.returncode == 0
    assert (tmp_path / "duty").read_text().startswith("0000000")
    assert done.stderr == f"<5>reflexd-safe: fan: {tmp_path / 'duty'} = 0000000\n"


def test_it_may_be_run_again(tmp_path: Path) -> None:
    (tmp_path / "duty").write_text("9")
    safe_state.write(str(tmp_path), [sysfs(tmp_path / "duty")], 1.0)
    assert [run(tmp_path).returncode for _ in range(3)] == [0, 0, 0]


def test_one_that_fails_keeps_no_other_from_being_set(tmp_path: Path) -> None:
    (tmp_path / "duty").write_text("9")
    outputs = [sysfs(tmp_path / "none", "pump"), {"name": "odd", "kind": "laser"}, "nonsense", sysfs(tmp_path / "duty")]
    safe_state.write(str(tmp_path), outputs, 1.0)   # type: ignore[arg-type]
    done = run(tmp_path)
    assert done.returncode == 1
    assert (tmp_path / "duty").read_text() == "0"
    assert done.stderr.count("MAY NOT BE SAFE") == 3
    assert "Traceback" not in done.stderr


def test_a_serial_device_is_told(tmp_path: Path) -> None:
    master, slave = pty.openpty()
    tty.setraw(slave)
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append(os.read(master, 100)))
    reader.start()
    action = {"name": "relay", "kind": "serial", "port": os.ttyname(slave), "baud": 115200, "hex": b"OFF\r\n".hex()}
    safe_state.write(str(tmp_path), [action], 1.0)
    assert run(tmp_path).returncode == 0
    reader.join(5)
    assert got == [b"OFF\r\n"]
    os.close(master)
    os.close(slave)


@pytest.mark.parametrize("baud", [9600, 31_250, 250_000])
def test_a_serial_device_is_told_at_any_speed(tmp_path: Path, baud: int) -> None:
    master, slave = pty.openpty()
    action = {"name": "relay", "kind": "serial", "port": os.ttyname(slave), "baud": baud, "hex": b"OFF\r\n".hex()}
    safe_state.write(str(tmp_path), [action], 1.0)
    done = run(tmp_path)
    assert done.returncode == 0, done.stderr
    assert os.read(master, 100) == b"OFF\r\n"
    modes = fcntl.ioctl(slave, safe_state.GET_MODES, bytes(safe_state.MODES.size))
    assert safe_state.MODES.unpack(modes)[-2:] == (baud, baud)
    os.close(master)
    os.close(slave)


def test_a_pipe_that_nobody_reads_holds_nothing_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    safe_state.write(str(tmp_path), [sysfs(tmp_path / "pipe")], 1.0)
    with Stopwatch() as took:
        assert run(tmp_path).returncode == 1
    assert took.seconds < 2


def test_without_a_state_nothing_was_driven(tmp_path: Path) -> None:
    done = run(tmp_path)
    assert done.returncode == 0
    assert "nothing to do" in done.stderr


@pytest.mark.parametrize("left", ["", "{", "[]", '{"version": 9, "outputs": []}', '{"version": 1}', "\x00"])
def test_a_state_that_cannot_be_read_is_grave_and_no_traceback(tmp_path: Path, left: str) -> None:
    (tmp_path / safe_state.FILE).write_text(left)
    done = run(tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("<2>reflexd-safe: OUTPUTS MAY NOT BE SAFE")
    assert "Traceback" not in done.stderr


def test_the_end_is_kept_for_the_next_start(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    safe_state.write(str(tmp_path), [], time.monotonic() - 7200)
    run(tmp_path, state, SERVICE_RESULT="watchdog", EXIT_CODE="killed", EXIT_STATUS="ABRT")
    told = json.loads((state / safe_state.RECORD).read_text())
    assert (told["result"], told["code"], told["status"], told["failed"]) == ("watchdog", "killed", "ABRT", 0)
    assert 7199 < told["ran_s"] < 7260
    assert told["safe_in_ms"] < 1000


def test_the_request_for_a_line_has_the_kernels_layout() -> None:
    request = safe_state.line_request(17, high=True)
    assert len(request) == safe_state.LINE_REQUEST_SIZE
    assert request[:4] == (17).to_bytes(4, sys.byteorder)
    assert safe_state.GET_LINE == 3 << 30 | safe_state.LINE_REQUEST_SIZE << 16 | 0xB4 << 8 | 7
    assert 2 << 30 | safe_state.CHIP_INFO.size << 16 | 0xB4 << 8 | 1 == safe_state.GET_CHIP_INFO


def test_it_imports_the_standard_library_only() -> None:
    ours = "[m for m in sys.modules if m.split('.')[0] in ('numpy', 'gpiozero', 'reflexd')]"
    code = f"import runpy, sys; runpy.run_path({SCRIPT!r}); print({ours})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.fault("F28", bound="1 s", outcome="pulses of the hardware go on, at the safe level")
def test_pulses_that_outlive_the_daemon_are_set_safe(tmp_path: Path) -> None:
    kernel = KernelPwm(tmp_path)
    fan = {"driver": "pwm", "pin": "GPIO18", "safe": 0.6, "method": "hardware", "factory": "mock", "chip": "safe-state"}
    device = pwm.connect(pwm.Settings.model_validate(fan), kernel)
    device.set(0.25)
    assert safe_state.make_safe(aftermath.actions({"fan": device})) == 0
    assert kernel.share(0) == 0.6
    device.close()

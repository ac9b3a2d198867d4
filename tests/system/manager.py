"""What systemd does for the service, natively and in small: start, listen, abort what hangs, run what comes after a death.

As in systemd/reflexd.service: Type=notify, WatchdogSec=2s, TimeoutAbortSec=500ms, ExecStopPost=reflexd-safe with
SERVICE_RESULT and its kin at once after the end of the main process. The real one is in tests/lab.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from reflexd import aftermath
from tests.system.meter import ROOT

COMMANDS = Path(sys.executable).parent       # where pip put reflexd and reflexd-safe
WATCHDOG_S = 2.0
ABORT_S = 0.5


class Manager:
    """One service in a folder of its own, which may be started again and again."""

    def __init__(self, folder: Path, config: Path, python_path: Path) -> None:
        for name in ("run", "state"):
            (folder / name).mkdir()
        self._config = config
        self._state = folder / "state"
        self._log = folder / "log"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(folder / "notify"))
        self._process: subprocess.Popen[bytes] | None = None
        self._environment = {
            **os.environ, "RUNTIME_DIRECTORY": str(folder / "run"), "STATE_DIRECTORY": str(folder / "state"),
            "PYTHONPATH": os.pathsep.join([str(python_path), str(ROOT)]),
        }

    def start(self) -> None:
        """Start the service; its log begins anew, and that it ended badly before is no reason to wait."""
        (self._state / aftermath.BAD_ENDS).unlink(missing_ok=True)
        told = {"NOTIFY_SOCKET": self._socket.getsockname(), "WATCHDOG_USEC": str(round(WATCHDOG_S * 1e6))}
        command = [str(COMMANDS / "reflexd"), "--config", str(self._config)]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(command, stderr=log, env={**self._environment, **told})
        self._wait_for("READY=1", 30)

    @property
    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def _wait_for(self, wanted: str, timeout_s: float) -> bool:
        deadline = time.monotonic() + timeout_s
        while (left := deadline - time.monotonic()) > 0:
            self._socket.settimeout(left)
            try:
                if wanted in self._socket.recv(4096).decode().splitlines():
                    return True
            except TimeoutError:
                break
        assert wanted != "READY=1", f"it was never ready: {self.log}"
        return False

    def send(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def watch(self) -> None:
        """Feed on WATCHDOG=1; end what does not give any: abort it, then kill it."""
        while self._wait_for("WATCHDOG=1", WATCHDOG_S):
            pass
        assert self._process is not None
        self.send(signal.SIGABRT)
        try:
            self._process.wait(ABORT_S)
        except subprocess.TimeoutExpired:
            self.send(signal.SIGKILL)

    def bury(self, result: str, safe: bool = True) -> str:
        """Wait for the end, then run what comes after it; gives what that said."""
        assert self._process is not None
        number = -self._process.wait(30)
        if not safe:
            return ""
        name = signal.Signals(number).name.removeprefix("SIG")
        told = {"SERVICE_RESULT": result, "EXIT_CODE": "killed", "EXIT_STATUS": name}
        return run_safe({**self._environment, **told})

    def close(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._socket.close()


def run_safe(environment: dict[str, str]) -> str:
    """Run what comes after a death, as it was installed; gives what it said."""
    command = [str(COMMANDS / "reflexd-safe")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    return re.sub(r"<\d>", "", done.stderr)

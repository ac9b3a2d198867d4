"""A motor as its microcontroller tells of it: the recording of the example, spoken over a pseudo terminal at its real rate."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.drivers.terminals import Terminal

ROOT = Path(__file__).resolve().parent.parent.parent
EXAMPLE = ROOT / "docs" / "examples" / "vibration"
RATE_HZ = 100
NORMAL = 600      # samples of the recording; the rest is of a weight on a blade


def recording() -> list[bytes]:
    """Give the lines that the microcontroller prints."""
    with (EXAMPLE / "motor.csv").open() as file:
        next(file)
        return [",".join(row[1:]).encode() + b"\n" for row in csv.reader(file)]


def to_and_fro(lines: list[bytes]) -> Iterator[bytes]:
    """Repeat a recording without a jump: forwards, backwards, forwards."""
    while True:
        yield from lines
        yield from reversed(lines)


class Motor:
    """Speaks a line each 10 ms; what it says may be changed, and its plug pulled.

    Where this computer was too busy for a line, it is lost: a motor turns on, and a burst of late lines would be another motion.
    """

    def __init__(self, port: Path) -> None:
        lines = recording()
        self._states = {"normal": lines[:NORMAL], "unbalance": lines[NORMAL:]}
        self.terminal = Terminal(port)
        self.said = 0                  # lines since the state was last changed
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self.be("normal")
        self._thread = threading.Thread(target=self._talk)
        self._thread.start()

    def be(self, state: str) -> None:
        """Vibrate otherwise."""
        with self._lock:
            self._lines, self.said = to_and_fro(self._states[state]), 0

    def plug(self, into: bool) -> None:
        """Put the plug in, or pull it."""
        with self._lock:
            (self.terminal.plug_in if into else self.terminal.unplug)()
            self.plugged = into

    plugged = True

    def _talk(self) -> None:
        due = time.monotonic()
        while not self._ended.wait(max(due - time.monotonic(), 0)):
            late = int((time.monotonic() - due) * RATE_HZ)
            due += (1 + late) / RATE_HZ
            with self._lock:
                line = [next(self._lines) for _ in range(1 + late)][-1]
                self.said += 1 + late
                if self.plugged:
                    self.terminal.say(line)

    def end(self) -> None:
        self._ended.set()
        self._thread.join()
        self.terminal.close()


class Watcher:
    """The daemon of the example on such a motor, with a recorder for its relay."""

    def __init__(self, folder: Path, bundle: str) -> None:
        folder.mkdir()
        self.folder = folder
        self.motor = Motor(folder / "tty")
        text = (EXAMPLE / "serial.toml").read_text()
        for pattern, new in [
            (r"schema = 1\n", 'schema = 1\n\n[daemon]\nsocket = "control.sock"\nstate_dir = "state"\n'),
            (r'port = .*\n', f'port = "{folder / "tty"}"\n'),
            (r'driver = "gpio-input"\npin = .*\npull = .*\nactive = .*\n',
             f'driver = "scripted"\npath = "{EXAMPLE / "switch.csv"}"\n'),
            (r'bundle = "vibration-lstm" .*\n', f'bundle = "{bundle}"\n'),
            (r'driver = "gpio-output"\npin = .*\n', 'driver = "recorder"\npath = "relay.jsonl"\naccept_unguarded = true\n'),
        ]:
            text, count = re.subn(pattern, new, text)
            assert count == 1, pattern
        (folder / "reflexd.toml").write_text(text)
        command = [sys.executable, "-m", "reflexd", "--config", str(folder / "reflexd.toml")]
        with (folder / "log").open("w") as log:
            self.process = subprocess.Popen(command, stderr=log)

    def record(self) -> list[str]:
        """Give what the relay was told."""
        record = self.folder / "relay.jsonl"
        return record.read_text().splitlines() if record.exists() else []

    def level(self) -> float | None:
        """Give where the relay stands; None before the daemon has claimed it."""
        lines = self.record()
        return json.loads(lines[-1])["level"] if lines else None

    def log(self) -> str:
        return (self.folder / "log").read_text()

    def within(self, lines: int, true: Callable[[], bool]) -> int:
        """Wait until something is true, for so many lines of the motor at most; gives how many it took."""
        begin = self.motor.said
        while not true():
            assert self.motor.said - begin < lines, f"not within {lines} lines\n{self.log()}"
            assert self.process.poll() is None, self.log()
            time.sleep(0.01)
        return self.motor.said - begin

    def status(self) -> Any:
        """Ask as a program does."""
        command = [sys.executable, "-m", "reflexd.ctl", "status", "--json", "--socket", str(self.folder / "control.sock")]
        return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    def end(self) -> int:
        self.process.terminate()
        status = self.process.wait(20)
        self.motor.end()
        return status

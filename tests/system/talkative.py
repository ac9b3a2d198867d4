"""A daemon that has a lot to say, as a process of its own: its rule moves an output with every other frame.

`Talkative` starts it with sockets of journald and of systemd that it binds itself and may stop reading, take away and
bring back. The daemon is wired as always; its network is a stand-in that costs nothing, so that the loop is all there is.
Everything is real but the path of journald's socket, which is fixed in a daemon that was installed.
"""

from __future__ import annotations

import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent.parent
FRAMES_PER_LEVEL = 4
FULL = re.compile(rb"MESSAGE=(\d+) lines of the log were dropped\n")


class Socket:
    """A datagram socket with a reader that may rest: a thread, as journald is a process, beside the daemon."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.count = 0              # datagrams that were read
        self.told_dropped = 0
        self._socket: socket.socket | None = None
        self._reading = threading.Event()
        self._end = threading.Event()
        self.come_back()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def come_back(self) -> None:
        """Be there, and read."""
        if self._socket is None:
            made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            made.bind(str(self.path))
            self._socket = made
        self._reading.set()

    def stall(self) -> None:
        """Read nothing more."""
        self._reading.clear()

    def go(self) -> None:
        """Be gone, as while the service restarts."""
        self.stall()
        made, self._socket = self._socket, None
        self.path.unlink()
        if made is not None:
            made.close()

    def fill(self) -> None:
        """Put in what fits, besides what the daemon sends."""
        self.stall()
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other, suppress(BlockingIOError):
            other.setblocking(False)
            while True:
                other.sendto(b"X=1\n", str(self.path))

    def _read(self) -> None:
        while not self._end.is_set():
            made = self._socket
            if not self._reading.wait(0.1) or made is None:
                continue
            with suppress(OSError, ValueError):      # it went away meanwhile
                if select.select([made], [], [], 0.05)[0]:
                    entry = made.recv(65536)
                    self.count += 1
                    self.told_dropped += sum(map(int, FULL.findall(entry)))

    def close(self) -> None:
        self._end.set()
        self._thread.join()
        if self._socket is not None:
            self.go()


class Talkative:
    """The process, and its two sockets."""

    def __init__(self, folder: Path) -> None:
        self.journal = Socket(folder / "journal")
        self.manager = Socket(folder / "notify")
        environment = {**os.environ, "NOTIFY_SOCKET": str(folder / "notify"), "WATCHDOG_USEC": "200000"}
        environment.pop("WATCHDOG_PID", None)
        self._process = subprocess.Popen([sys.executable, "-m", "tests.system.talkative", str(folder)], cwd=ROOT, env=environment,
                                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self) -> Any:
        """Give what the daemon has counted: decided, cycles, dropped, refused, level changes, and when (ns)."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("?\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, f"the daemon ended with status {self._process.wait(10)}"
        return json.loads(answer)

    def rate(self, seconds: float) -> float:
        """Measure how many predictions are decided in a second."""
        before = self.ask()
        time.sleep(seconds)
        after = self.ask()
        return float((after["decided"] - before["decided"]) / (after["at_ns"] - before["at_ns"]) * 1e9)

    def end(self) -> Any:
        """Stop it as systemd would, and give its last counts."""
        last = self.ask()
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(20)
        return {**last, "status": self._process.returncode}

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.communicate()
        self.journal.close()
        self.manager.close()


class Flipping:
    """A network without work: its score changes every few frames, and with it the output."""

    labels = ("odd",)

    def __init__(self) -> None:
        self._seen = 0

    def predict(self, _view: object, taken_at: int) -> Any:
        from reflexd_models.base import Prediction

        self._seen += 1
        return Prediction(taken_at, {"odd": float(self._seen // FRAMES_PER_LEVEL % 2)})

    def given(self, _view: object) -> list[Any]:
        return []


def configured(folder: Path) -> Any:
    """One camera as fast as its reader, one network, one rule that moves a pin."""
    from reflexd.config.settings import Settings
    from reflexd_drivers.actuators import gpio_output
    from reflexd_drivers.cameras import replay

    np.savez(folder / "frames.npz", x=np.zeros((8, 16, 16, 3), np.uint8))
    camera = replay.Settings.model_validate(
        {"driver": "replay", "path": folder / "frames.npz", "loop": True, "pace": "fast", "max_age_ms": 2000})
    lamp = gpio_output.Settings.model_validate({"driver": "gpio-output", "factory": "mock", "pin": "GPIO17", "safe": "off"})
    rule = {"name": "talk", "when": [{"model": "one", "label": "odd", "at_least": 0.5}],
            "then": [{"actuator": "lamp", "set": "on", "follow": True}]}
    return Settings.model_validate({"schema": 1, "camera": {"one": camera}, "model": {"one": {"bundle": "-", "camera": "one"}},
                                    "actuator": {"lamp": lamp}, "rule": [rule]})


def main(folder: Path) -> int:
    """Be the daemon; each line on stdin is answered by the counts."""
    from reflexd.journal import Journal, Journald
    from reflexd.notify import Notifier
    from reflexd.wiring import build
    from reflexd_drivers import gpio

    journal = Journal(Journald(str(folder / "journal")))
    notifier = Notifier.from_environment()
    daemon = build(configured(folder), journal, notifier=notifier, open_with=lambda *_: Flipping())
    pin = gpio.open_header("mock", None).factory.pin("GPIO17")     # keeps each state that it was given
    signal.signal(signal.SIGTERM, lambda *_: daemon.loop.stop("SIGTERM"))

    def answer() -> None:
        for _ in sys.stdin:
            print(json.dumps({"decided": daemon.loop.decided, "cycles": daemon.loop.cycles, "dropped": journal.dropped,
                              "refused": notifier.refused, "moved": len(pin.states), "at_ns": time.monotonic_ns()}), flush=True)

    threading.Thread(target=answer, daemon=True).start()
    status = daemon.run()
    journal.close(1)
    os._exit(status)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

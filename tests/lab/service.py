"""The service in the guest, and the pins of its chip."""

from __future__ import annotations

import base64
import json
import shlex
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.lab.machine import Machine, Said

CONFIG = "/etc/reflexd/reflexd.toml"
DROP_INS = "/run/systemd/system/reflexd.service.d"
LEVELS = Path(__file__).parent / "guest" / "levels.py"
PACE = "/run/systemd/system.control/reflexd.service.d/pace.conf"     # stays for all tests: a daemon-reload takes seconds
PACKAGES = "/usr/local/lib/python3*/dist-packages"     # which the service sees, as what pip installs for the system
LAB_DRIVERS = f"{PACKAGES}/lab_*"
FOLDERS = "/run/reflexd /var/lib/reflexd /etc/reflexd"


class Service:
    """What tests do with reflexd.service. Times are given as on a computer with KVM, and stretched without."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.since = ""

    def run(self, command: str, limit_s: float = 30) -> Said:
        """Run a command in the guest, whatever its status."""
        return self.machine.ask(command, limit_s * self.machine.pace)

    def must(self, command: str, limit_s: float = 30) -> str:
        """Run a command that has to succeed; give its output."""
        said = self.run(command, limit_s)
        assert said.status == 0, f"{command}\n{said.out}{said.err}\n{self.log()}"
        return said.out

    def forget(self) -> None:
        """Stop the service and undo what a test did to it."""
        self.must("systemctl stop reflexd; systemctl reset-failed reflexd 2>/dev/null; "
                  f"rm -rf {LAB_DRIVERS} /etc/reflexd/* /var/lib/reflexd/*; mkdir -p /etc/reflexd; "
                  f"if rm {DROP_INS}/*.conf 2>/dev/null || [ ! -e {PACE} ]; then {self._keep_pace()}; "
                  "systemctl daemon-reload; fi")
        self.begin()

    def begin(self) -> None:
        """Count what the journal says from now on."""
        self.since = json.loads(self.must("journalctl -n 1 -o json --output-fields=MESSAGE"))["__CURSOR"]

    def _keep_pace(self) -> str:
        """Give the command that stretches bounds of the unit like ours: without KVM Python takes ten times as long."""
        bounds = f"TimeoutStartSec={60 * self.machine.pace}"
        if self.machine.pace > 1:        # there a camera's pictures keep both processors busy for seconds
            bounds += "\\nWatchdogSec=10s"
        return (f"mkdir -p {DROP_INS} {PACE.rpartition('/')[0]}; "
                f"printf '[Service]\\n{bounds}\\n' > {PACE}")

    def put(self, path: str, data: str | bytes) -> None:
        """Write a file, for everybody to read."""
        text = base64.b64encode(data.encode() if isinstance(data, str) else data).decode()
        self.must(f"mkdir -p $(dirname {path}); echo {text} | base64 -d > {path}; chmod 644 {path}")

    def drop_in(self, name: str, *lines: str) -> None:
        """Add to the unit's [Service]."""
        self.put(f"{DROP_INS}/{name}.conf", "\n".join(["[Service]", *lines, ""]))
        self.must("systemctl daemon-reload")

    def devices(self, kind: str, **pulls: str) -> None:
        """Make the GPIO chip anew: kind "pull" or "keep", and a pull for each line, as line17="up"."""
        self.must("lab-devices " + " ".join([kind, *(f"{line.removeprefix('line')}={pull}" for line, pull in pulls.items())]))

    def install_driver(self, module: str, source: str, group: str, name: str) -> None:
        """Install a driver as a third party would: a package with an entry point. It is gone after the test."""
        folder = self.must(f"echo {PACKAGES}").strip()
        self.put(f"{folder}/{module}.py", source)
        self.put(f"{folder}/{module}-1.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {module}\nVersion: 1\n")
        self.put(f"{folder}/{module}-1.dist-info/entry_points.txt", f"[{group}]\n{name} = {module}\n")

    def pull(self, line: int, direction: str) -> None:
        """Drive an input."""
        self.must(f"echo pull-{direction} > /run/lab-chip/sim_gpio{line}/pull")

    def level(self, line: int) -> int:
        """Read a line from the chip."""
        return int(self.must(f"cat /run/lab-chip/sim_gpio{line}/value"))

    def start(self, config: str) -> None:
        """Start with that configuration; it has to say READY."""
        self.put(CONFIG, config)
        self.must("systemctl start reflexd", 60)
        assert self.show("ActiveState") == "active", self.log()

    def send_serial(self, data: bytes) -> None:
        """Let bytes arrive at the guest's second serial line, /dev/ttyS1."""
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(10)
            line.connect(str(self.machine.run_folder / "sensor.sock"))
            line.sendall(data)

    def show(self, name: str) -> str:
        """Give one of the unit's properties."""
        return self.must(f"systemctl show --value -p {name} reflexd").strip()

    def log(self) -> str:
        """Give what the journal says of the service in this test."""
        return self.run(f"journalctl --no-pager -o short-monotonic -u reflexd --after-cursor={shlex.quote(self.since)}").out

    def entries(self, *matches: str) -> list[dict[str, str]]:
        """Give this test's journal entries with these fields."""
        out = self.must("journalctl --no-pager -o json --after-cursor=" + shlex.join([self.since, *matches]))
        return [json.loads(line) for line in out.splitlines()]

    def until(self, what: str, seen: Callable[[], bool], limit_s: float = 5) -> float:
        """Wait until something is seen; give the seconds it took."""
        began = time.monotonic()
        while not seen():
            waited = time.monotonic() - began
            assert waited < limit_s * self.machine.pace, f"{what}: not within {waited:.0f} s\n{self.log()}"
            time.sleep(0.05)
        return time.monotonic() - began

    def script(self, source: str, *arguments: object, stdin: str = "", python: str = "python3",
               limit_s: float = 30) -> list[dict]:
        """Run Python in the guest; give the lines of JSON that it prints."""
        self.put("/run/lab-script.py", source)
        self.put("/run/lab-stdin", stdin)
        out = self.must(f"{python} /run/lab-script.py {' '.join(map(str, arguments))} < /run/lab-stdin", limit_s)
        return [json.loads(line) for line in out.splitlines()]

    @contextmanager
    def recording(self, *lines: int) -> Iterator[list[dict]]:
        """Give a list that has each change of these lines' levels afterwards, and as its last how well was looked."""
        changes: list[dict] = []
        self.put("/run/lab-levels.py", LEVELS.read_text())
        self.must("systemd-run --quiet --collect --unit=lab-levels -p StandardOutput=file:/run/lab-levels "
                  f"python3 /run/lab-levels.py {' '.join(map(str, lines))}")
        self.until("somebody looks at the levels", lambda: self.run("test -s /run/lab-levels").status == 0)
        try:
            yield changes
        finally:
            out = self.must("systemctl stop lab-levels; cat /run/lab-levels; rm /run/lab-levels")
            changes += [json.loads(line) for line in out.splitlines()]

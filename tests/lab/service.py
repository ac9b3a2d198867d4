"""The service in the guest, and the pins of its chip."""

from __future__ import annotations

import base64
import json
import shlex
import time
from collections.abc import Callable

from tests.lab.machine import Machine, Said

CONFIG = "/etc/reflexd/reflexd.toml"
DROP_INS = "/run/systemd/system/reflexd.service.d"
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
        self.must(f"systemctl stop reflexd; systemctl reset-failed reflexd 2>/dev/null; rm -rf {DROP_INS} /etc/reflexd/*; "
                  "rm -f /var/lib/reflexd/*; mkdir -p /etc/reflexd; systemctl daemon-reload")
        # the unit's own bounds, stretched like ours: Python starts ten times slower without KVM, reflexd-safe's too
        self.drop_in("pace", f"TimeoutStartSec={60 * self.machine.pace}", f"TimeoutStopSec={3 * self.machine.pace}")
        self.since = json.loads(self.must("journalctl -n 1 -o json --output-fields=MESSAGE"))["__CURSOR"]

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

    def script(self, source: str, *arguments: object, limit_s: float = 30) -> list[dict]:
        """Run Python in the guest; give the lines of JSON that it prints."""
        self.put("/run/lab-script.py", source)
        out = self.must("python3 /run/lab-script.py " + " ".join(map(str, arguments)), limit_s)
        return [json.loads(line) for line in out.splitlines()]

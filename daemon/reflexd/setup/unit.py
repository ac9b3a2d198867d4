"""The service, as far as systemd tells; where no systemd runs, or for who is not root, there is none."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from time import monotonic

from reflexd.ctl.check import DEFAULT_CONFIG
from reflexd.setup import SetupError
from reflexd_drivers.probe import Found

NAME = "reflexd.service"
CONSUMER = "lg"         # what lgpio tells the kernel; another program with lgpio shows in the self-test


class Unit:
    """reflexd.service, which reads one configuration and has one folder for what it keeps."""

    def __init__(self, config: Path = Path(DEFAULT_CONFIG), state: Path = Path("/var/lib/reflexd"),
                 here: bool | None = None) -> None:
        """`here` says whether systemd runs and obeys."""
        self.config, self.state = config, state
        here = Path("/run/systemd/system").is_dir() and os.geteuid() == 0 if here is None else here
        self.installed = here and self._show("LoadState") == "loaded"

    @property
    def active(self) -> bool:
        """Say whether the service runs, or is about to."""
        return self.installed and self._show("ActiveState") in ("active", "activating", "reloading")

    def without_its_own(self, found: Found) -> Found:
        """Count as free what the running service itself holds: it is stopped before that is tried."""
        if not self.active:
            return found
        holder = f"(process {self._show('MainPID')})"
        chips = (replace(chip, used={line: who for line, who in chip.used.items() if who != CONSUMER}) for chip in found.chips)
        return replace(found, chips=tuple(chips),
                       cameras=tuple(replace(one, holder=_other(one.holder, holder)) for one in found.cameras),
                       ports=tuple(replace(one, holder=_other(one.holder, holder)) for one in found.ports))

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Have the devices free; what ran before runs again afterwards, however this ends."""
        ran = self.active
        try:
            if ran:
                self._do("stop")
            yield
        finally:
            if ran and not self.active:
                self._do("start")

    def enable(self) -> float:
        """Start it now and at every boot; give the seconds until it is ready. Raises: SetupError."""
        self._do("enable")
        began = monotonic()
        self._do("restart")
        return monotonic() - began

    def _do(self, verb: str) -> None:
        done = subprocess.run(["systemctl", verb, NAME], capture_output=True, text=True, check=False)
        if done.returncode:
            said = " ".join(done.stderr.split()) or f"status {done.returncode}"
            raise SetupError(f"systemctl {verb} reflexd failed: {said}; see journalctl -x -u reflexd")

    @staticmethod
    def _show(name: str) -> str:
        command = ["systemctl", "show", "--value", "--property", name, NAME]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def _other(found: str | None, ours: str) -> str | None:
    return None if found is not None and found.endswith(ours) else found

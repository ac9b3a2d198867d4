#!/usr/bin/env python3
"""Talks to the lab's guest: machine.py LAB run COMMAND, machine.py LAB wait SECONDS; a class for the tests."""

from __future__ import annotations

import fcntl
import itertools
import json
import os
import socket
import sys
import time
from pathlib import Path
from typing import NamedTuple

SLOWER_WITHOUT_KVM = 10
ids = itertools.count(os.getpid() << 16)


class Said(NamedTuple):
    """What a command in the guest gave."""

    status: int
    out: str
    err: str


class Machine:
    """The guest of one lab. Raises OSError when it is not there and TimeoutError when it does not answer."""

    def __init__(self, lab: Path) -> None:
        self.run_folder = lab / "run"
        accelerator = self.run_folder / "accelerator"
        slow = accelerator.exists() and accelerator.read_text().strip() == "tcg"
        self.pace = SLOWER_WITHOUT_KVM if slow else 1

    def ask(self, command: str, limit_s: float = 60, grace_s: float = 10) -> Said:
        """Run a shell command as root."""
        order = {"id": next(ids), "command": command, "limit_s": limit_s}
        with (self.run_folder / "agent.lock").open("w") as lock, socket.socket(socket.AF_UNIX) as connection:
            fcntl.flock(lock, fcntl.LOCK_EX)        # the port has one listener at a time
            connection.settimeout(limit_s + grace_s)
            connection.connect(str(self.run_folder / "agent.sock"))
            connection.sendall(b"\n" + json.dumps(order).encode() + b"\n")
            answer = self._answer(connection, order["id"])
        if answer["status"] is None:
            raise TimeoutError(f"not done within {limit_s} s: {command}\n{answer['out']}{answer['err']}")
        return Said(answer["status"], answer["out"], answer["err"])

    @staticmethod
    def _answer(connection: socket.socket, wanted: int) -> dict:
        pending = b""
        while True:
            came = connection.recv(1 << 16)
            if not came:
                raise ConnectionError("the guest went away")
            *whole, pending = (pending + came).split(b"\n")
            for line in whole:
                try:
                    answer = json.loads(line)
                except ValueError:                  # the rest of an answer that nobody waited for
                    continue
                if answer["id"] == wanted:
                    return answer

    @property
    def runs(self) -> bool:
        """Say whether the virtual machine is there, answering or not."""
        try:
            os.kill(int((self.run_folder / "qemu.pid").read_text()), 0)
        except (OSError, ValueError):
            return False
        return True

    def wait(self, limit_s: float) -> float:
        """Wait until the guest answers and has booted; give the seconds. Raises: TimeoutError, OSError when it is gone."""
        began = time.monotonic()
        while time.monotonic() - began < limit_s:
            try:
                self.ask("true", 1, 1)              # what is said before the agent listens is lost
                self.ask("systemctl is-system-running --wait", limit_s)
            except (OSError, TimeoutError):
                if not self.runs:
                    raise
                time.sleep(0.2)
                continue
            return time.monotonic() - began
        raise TimeoutError(f"not within {limit_s:g} s")


def main(lab: str, verb: str, argument: str) -> int:
    """Do what scripts/lab asks."""
    machine = Machine(Path(lab))
    if verb == "wait":
        return wait(machine, float(argument))
    try:
        said = machine.ask(argument, 600)
    except (OSError, TimeoutError) as error:
        print(f"The lab does not answer ({error}); start it with:  scripts/lab up", file=sys.stderr)
        return 1
    sys.stdout.write(said.out)
    sys.stderr.write(said.err)
    return said.status


def wait(machine: Machine, limit_s: float) -> int:
    """Wait for the boot, and say how long it took."""
    try:
        print(f"The lab is up after {machine.wait(limit_s):.0f} s.", file=sys.stderr)
    except (OSError, TimeoutError) as error:
        print(f"The lab did not come up: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

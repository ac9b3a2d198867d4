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

    def wait(self, limit_s: float) -> float:
        """Wait until the guest answers and has booted; give the seconds. Raises: TimeoutError."""
        began = time.monotonic()
        while time.monotonic() - began < limit_s:
            try:
                self.ask("true", 1, 1)              # what is said before the agent listens is lost
                self.ask("systemctl is-system-running --wait", limit_s)
            except (OSError, TimeoutError):
                time.sleep(0.2)
                continue
            return time.monotonic() - began
        raise TimeoutError


def main(lab: str, verb: str, argument: str) -> int:
    """Do what scripts/lab asks."""
    machine = Machine(Path(lab))
    try:
        if verb == "wait":
            print(f"The lab is up after {machine.wait(float(argument)):.0f} s.", file=sys.stderr)
            return 0
        said = machine.ask(argument, 600)
    except (OSError, TimeoutError) as error:
        print(f"The lab does not answer ({error}); start it with:  scripts/lab up", file=sys.stderr)
        return 1
    sys.stdout.write(said.out)
    sys.stderr.write(said.err)
    return said.status


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

"""The daemon's end of the process around one camera of libcamera: started, spoken to, and ended within a bound."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from typing import Any

from reflexd_drivers.base import DriverError
from reflexd_drivers.cameras import libcamera_child as child

CLOSE_S, KILL_S = 1.0, 0.9      # to stop a camera by itself, then to die; closing may take 2 s in all
MESSAGE = 1 << 16               # the longest, in bytes


class Process:
    """A process of libcamera_child.py."""

    def __init__(self, where: str, table: str) -> None:
        """Start it with the camera's settings as JSON; `where` names the camera in messages."""
        self.where = where
        self.line, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        command = [sys.executable, "-P", "-B", "-m", child.__name__, str(theirs.fileno()), table]
        with theirs:
            self._process = subprocess.Popen(command, env=environment, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)

    def first(self, timeout_s: float) -> tuple[dict[str, Any], int]:
        """Give what it tells of the camera, and the shared memory. Raises: DriverError."""
        if not select.select([self.line], [], [], timeout_s)[0]:
            raise DriverError(f"{self.where}: libcamera did not open the camera within {timeout_s:g} s; check its cable")
        text, files = self.receive()
        told = self.read(text)
        return told, files[0]

    def receive(self) -> tuple[bytes, list[int]]:
        """Take a message that is there, with its descriptors; an empty one is the end."""
        try:
            text, files, *_ = socket.recv_fds(self.line, MESSAGE, 1)
        except ConnectionError:         # it died before it had read all
            return b"", []
        return text, files

    def read(self, text: bytes) -> dict[str, Any]:
        """Understand a message that is no frame. Raises: DriverError when it tells of an error, or of the end."""
        if not text:
            raise DriverError(f"{self.where}: libcamera {self._ended()}, as it does when a camera vanishes; check its cable")
        told: dict[str, Any] = json.loads(text)
        if "error" in told:
            raise DriverError(str(told["error"]))
        return told

    def _ended(self) -> str:
        with suppress(subprocess.TimeoutExpired):
            status = self._process.wait(KILL_S)
            return f"was ended by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
        return "closed its socket"

    def close(self) -> None:
        """End it: asked to, and then killed. Raises: DriverError when not even that ends it."""
        self.line.close()
        for bound_s in (CLOSE_S, KILL_S):
            try:
                self._process.wait(bound_s)
                return
            except subprocess.TimeoutExpired:
                self._process.kill()
        raise DriverError(f"{self.where}: process {self._process.pid} of libcamera was killed and is not gone yet; "
                          "if it stays, the kernel's camera driver hangs: restart the computer")

"""The process around one camera of libcamera: frames go into memory that the daemon shares, numbers over a socket.

libcamera ends the process it runs in when a camera vanishes while it streams (an assertion in PipelineHandler::stop,
seen with 0.4), and may hang in any call. So it does neither in the daemon. Whatever happens here, the daemon sees silence or the
end of the socket, and begins anew with another process.

Messages: first {"about", "arranged", "layouts"} with the memory's descriptor, or {"error"}; then a FRAME for each NEXT. The
daemon says which slots it is done with.
"""

from __future__ import annotations

import ctypes
import json
import mmap
import os
import select
import signal
import socket
import struct
import sys
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from reflexd_drivers.base import DriverError, SilentError, View
from reflexd_drivers.cameras.libcamera_frames import Layout
from reflexd_drivers.cameras.libcamera_stream import Stream, open_stream

SLOTS = 16                      # no memory is taken for one that was never used
NEXT = 255                      # "one more frame, please"; any other byte is a slot that is given back
FRAME = struct.Struct("<B?qq")  # slot, by the camera's clock, sequence, taken_at
SLICE_S = 0.1
PR_SET_PDEATHSIG = 1


def slots(memory: mmap.mmap, layouts: Mapping[str, Layout]) -> list[dict[str, View]]:
    """Find the views of each slot in the shared memory."""
    shared = np.frombuffer(memory, np.uint8)
    size = slot_bytes(layouts)
    return [place(shared[number * size : (number + 1) * size], layouts) for number in range(SLOTS)]


def slot_bytes(layouts: Mapping[str, Layout]) -> int:
    """Say how long a slot is."""
    return sum(layout.size for layout in layouts.values())


def place(part: Any, layouts: Mapping[str, Layout]) -> dict[str, View]:     # noqa: ANN401
    """Lay one slot's views one behind the other."""
    views, start = {}, 0
    for name, layout in layouts.items():
        views[name] = layout.view(part[start : start + layout.size])
        start += layout.size
    return views


class Server:
    """Answers the daemon, until the socket ends."""

    def __init__(self, stream: Stream, line: socket.socket) -> None:
        self._stream, self._line = stream, line
        self._free = list(reversed(range(SLOTS)))
        self._asked = False
        file = os.memfd_create("reflexd-frames", os.MFD_CLOEXEC)
        size = SLOTS * slot_bytes(stream.layouts)
        os.ftruncate(file, size)
        self._slots = slots(mmap.mmap(file, size), stream.layouts)
        told = {"about": stream.about, "arranged": sorted(stream.arranged),
                "layouts": {name: asdict(layout) for name, layout in stream.layouts.items()}}
        socket.send_fds(line, [json.dumps(told).encode()], [file])
        os.close(file)

    def run(self) -> None:
        """Serve. Raises: DriverError when the camera fails."""
        while self._listen():
            if self._asked:
                self._answer()

    def _listen(self) -> bool:
        """Take what the daemon says; wait for it while no frame is wanted. Returns False at the end."""
        while select.select([self._line], [], [], 0 if self._asked else None)[0]:
            said = self._line.recv(1)
            if not said:
                return False
            if said[0] == NEXT:
                self._asked = True
            else:
                self._free.append(said[0])
        return True

    def _answer(self) -> None:
        try:
            request = self._stream.ask(SLICE_S)
        except SilentError:
            return
        try:
            if not self._free:         # the daemon's readers hold every frame: this one is lost
                return
            slot = self._free.pop()
            stamp = self._stream.fill(request, self._slots[slot])
        finally:
            request.release()
        self._asked = False
        self._line.send(FRAME.pack(slot, stamp.by_camera, stamp.sequence, stamp.taken_at))


def main(number: str, table: str) -> None:
    """Serve the daemon over the inherited socket of that number."""
    from reflexd_drivers.cameras.picamera2 import Settings

    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)     # no camera stays taken when the daemon dies
    signal.signal(signal.SIGINT, signal.SIG_IGN)                  # Ctrl-C in a terminal is for the daemon, which closes this
    line = socket.socket(fileno=int(number))
    try:
        stream = open_stream(Settings.model_validate_json(table))
        Server(stream, line).run()
        stream.close()
    except DriverError as error:
        line.send(json.dumps({"error": str(error)}).encode())
    except ConnectionError:
        pass
    os._exit(0)         # the exit hooks of a library may hang; the kernel gives back whatever is left


if __name__ == "__main__":
    main(*sys.argv[1:])

"""A capture device that behaves: buffers that are queued, filled at a rate, dequeued, flagged, and a plug that can be pulled."""

from __future__ import annotations

import errno
import os
import threading
from collections import deque
from pathlib import Path
from time import monotonic, monotonic_ns
from typing import Literal

import cv2
import numpy as np

from reflexd_drivers.cameras.v4l2 import Control, Filled, Format


class FakeCamera:
    """The camera itself; devices are opened on it, one at a time streaming."""

    def __init__(self, codes: tuple[str, ...] = ("YUYV",), size_px: tuple[int, int] = (8, 4), rate_hz: float = 100) -> None:
        self.codes = list(codes)
        self.size_px = size_px
        self.rate_hz = rate_hz
        self.plugged = True
        self.silent = False
        self.busy = False
        self.metadata_only = False
        self.bad: set[int] = set()                 # sequences that the kernel flags
        self.contents: dict[int, bytes] = {}       # by sequence, instead of a grey picture
        self.clock_offset_ns: int | None = 0       # None: the driver does not say which clock
        self.lost: set[int] = set()                # sequences that never come
        self.first = 0                             # the number of the first frame
        self.restart = False                       # the next frame is number 0 again
        self.open = 0
        self.path = ""                             # where it is plugged in; "" for at every path
        self.controls = [
            Control(1, "auto_exposure", "menu", 0, 3, 3, {1: "Manual Mode", 3: "Aperture Priority Mode"}),
            Control(2, "exposure_time_absolute", "integer", 3, 2047, 250, {}),
            Control(3, "brightness", "integer", 0, 255, 128, {}),
            Control(4, "white_balance_automatic", "boolean", 0, 1, 1, {}),
        ]
        self.set: dict[str, int] = {}              # what was set, in that order

    def device(self, path: str) -> FakeDevice:
        if not self.plugged or (self.path and str(Path(path).resolve()) != self.path):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        return FakeDevice(self)

    def picture(self, code: str, sequence: int) -> bytes:
        width, height = self.size_px
        if sequence in self.contents:
            return self.contents[sequence]
        if code == "MJPG":
            return cv2.imencode(".jpg", np.full((height, width, 3), sequence % 200, np.uint8))[1].tobytes()
        if code == "NV12":
            luma = np.full((height, width), sequence % 200, np.uint8)
            return luma.tobytes() + b"\x80" * (width * height // 2)
        depth = {"YUYV": 2, "GREY": 1}.get(code, 3)
        pixels = np.full((height, width, depth), sequence % 200, np.uint8)
        if code == "YUYV":
            pixels[:, :, 1] = 128
        return pixels.tobytes()


class FakeDevice:
    """What V4l2Device is for a real one."""

    def __init__(self, camera: FakeCamera) -> None:
        self.camera = camera
        camera.open += 1
        self._queued: deque[int] = deque()
        self._filled: deque[Filled] = deque()
        self._sequence = camera.first
        self._next_at = 0.0
        self._condition = threading.Condition()
        self._woken = False
        self._code = camera.codes[0]
        self.lent: set[int] = set()

    def _check(self) -> None:
        if not self.camera.plugged:
            raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))

    def captures(self) -> bool:
        return not self.camera.metadata_only

    def codes(self) -> list[str]:
        return self.camera.codes

    def set_format(self, code: str, size_px: tuple[int, int] | None) -> Format:
        if self.camera.busy:
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))
        self._code = code
        width, height = self.camera.size_px
        return Format(code, width, height, width * {"YUYV": 2, "GREY": 1, "NV12": 1, "MJPG": 0}.get(code, 3))

    def set_rate(self, rate_hz: float | None) -> float | None:
        return self.camera.rate_hz

    def controls(self) -> list[Control]:
        return self.camera.controls

    def set_control(self, control: Control, value: int) -> None:
        """As the kernel does: an exposure is refused while another control rules it."""
        if control.name == "exposure_time_absolute" and self.camera.set.get("auto_exposure", 3) != 1:
            raise OSError(errno.EACCES, os.strerror(errno.EACCES))
        self.camera.set[control.name] = value

    def start(self, buffers: int) -> None:
        self._queued.extend(range(buffers))
        self._next_at = monotonic()

    def _run(self) -> None:
        """Fill what was due until now; a frame for which no buffer is queued is lost."""
        while not self.camera.silent and self._next_at <= monotonic():
            if self.camera.restart:
                self._sequence, self.camera.restart = 0, False
            if self._queued and self._sequence not in self.camera.lost:
                index = self._queued.popleft()
                offset = self.camera.clock_offset_ns
                taken_at = None if offset is None else monotonic_ns() + offset
                data = memoryview(self.camera.picture(self._code, self._sequence))
                self._filled.append(Filled(index, self._sequence, taken_at, self._sequence in self.camera.bad, data))
            self._sequence += 1
            self._next_at += 1 / self.camera.rate_hz

    def wait(self, timeout_s: float) -> Literal["ready", "silent", "woken", "gone"]:
        deadline = monotonic() + timeout_s
        with self._condition:
            while True:
                if self._woken:
                    return "woken"
                if not self.camera.plugged:
                    return "gone"
                self._run()
                if self._filled:
                    return "ready"
                left = deadline - monotonic()
                if left <= 0:
                    return "silent"
                self._condition.wait(min(left, 0.005))

    def dequeue(self) -> Filled | None:
        self._check()
        if not self._filled:
            return None
        filled = self._filled.popleft()
        self.lent.add(filled.index)
        return filled

    def requeue(self, index: int) -> None:
        self._check()
        self.lent.remove(index)     # KeyError: it was not ours to give back
        self._queued.append(index)

    def wake(self) -> None:
        with self._condition:
            self._woken = True
            self._condition.notify_all()

    def close(self) -> None:
        self.camera.open -= 1

"""A camera that plays a recording: a folder of pictures, a video file or an .npz.

At its own pace or at rate_hz each frame comes at its time on one absolute schedule, so that late
frames do not delay the ones after them. As fast as possible means lossless: the next frame is read
when the last one was taken. Either way `taken_at` is the moment of delivery.
"""

from __future__ import annotations

import threading
from time import monotonic_ns
from typing import ClassVar, Literal

from pydantic import Field

from reflexd_drivers.base import CameraSettings, ConfigPath, DriverError, Frame, NotYetError, SilentError, Slot, SourceEndedError
from reflexd_drivers.cameras.recordings import Recording, open_recording

NS = 1_000_000_000
FORGET_LAG_NS = 1_000_000_000   # a reader that stood still for longer goes on from now, without a burst
RETRY_S = 0.001                 # while every buffer is held


class Settings(CameraSettings):
    """What the configuration says of a replay camera; rate_hz sets its pace, else the recording's own is kept."""

    frozen_default_s: ClassVar[float] = 0.0     # a recording may hold one picture for long

    path: ConfigPath = Field(description="folder of .png, .jpg or .bmp (10 Hz), video file, or .npz of uint8 pictures")
    pace: Literal["own", "fast"] = Field(default="own", description='"fast" waits only for the reader, who gets every frame')
    loop: bool = Field(default=False, description="start over at the end")


class Replay:
    """A recording that is played."""

    def __init__(self, where: str, recording: Recording, fast: bool, loop: bool) -> None:
        self.lossless = fast
        self._where = where
        self._recording = recording
        self._loop = loop
        self._begun_at = 0        # when the first frame of this round was due
        self._due_at = 0          # when the frame that is next is due; 0 while there is none
        self._sequence = 0
        self._closed = threading.Event()
        self._lock = threading.Lock()   # around the recording; held while a frame is decoded, never while waiting

    def read(self, timeout_s: float) -> Frame:
        """Give the next frame at its time.

        Raises: NotYetError when it is not due yet; SilentError when readers hold every buffer; SourceEndedError; DriverError.
        """
        deadline = monotonic_ns() + round(timeout_s * NS)
        with self._lock:
            self._check_open()
            if not self._due_at:
                self._advance()
        if not self.lossless:
            self._wait_until_due(deadline)
        slot = self._take()
        while slot is None:
            if monotonic_ns() >= deadline:
                raise SilentError(f"{self._where}: readers hold every frame; release() each frame after use")
            self._closed.wait(RETRY_S)
            slot = self._take()
        self._due_at = 0
        self._sequence += 1
        return Frame(monotonic_ns(), self._sequence - 1, slot)

    def _advance(self) -> None:
        """Go to the next frame and set when it is due."""
        now = monotonic_ns()
        before_s = self._recording.seconds() if self._sequence else 0.0
        if not self._recording.advance():
            if not self._loop:
                raise SourceEndedError(f"{self._where}: it ended after {self._sequence} frames; loop = true repeats it")
            self._begun_at += round((before_s + self._recording.period_s()) * NS)
            self._recording.rewind()
            self._recording.advance()
        offset = round(self._recording.seconds() * NS)
        if not self._sequence or now - self._begun_at - offset > FORGET_LAG_NS:
            self._begun_at = now - offset
        self._due_at = self._begun_at + offset

    def _wait_until_due(self, deadline: int) -> None:
        self._closed.wait(max(min(self._due_at, deadline) - monotonic_ns(), 0) / NS)
        if monotonic_ns() < self._due_at and not self._closed.is_set():
            raise NotYetError(f"{self._where}: the next frame is not due yet; raise rate_hz or max_age_ms")

    def _take(self) -> Slot | None:
        with self._lock:
            self._check_open()
            return self._recording.slot()

    def _check_open(self) -> None:
        if self._closed.is_set():
            raise DriverError(f"{self._where}: the recording was closed while it was read; open it again")

    def close(self) -> None:
        """End a read that waits and close the file; frames that are still held stay valid."""
        if self._closed.is_set():
            return
        self._closed.set()
        with self._lock:
            self._recording.close()


def connect(settings: Settings) -> Replay:
    """Open the recording.

    Raises: DriverError.
    """
    fast = settings.pace == "fast"
    recording = open_recording(settings.path, settings.rate_hz, needs_pace=not fast)
    return Replay(str(settings.path), recording, fast, settings.loop)

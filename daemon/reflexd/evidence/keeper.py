"""Takes some frames of each camera, encodes them and keeps them in the ring; on a thread of its own, for all cameras.

It is one more reader of a camera, and asks for no more frames than it keeps. Nobody waits for it: a frame that it was too slow
for is replaced by the next, a recording that is read as fast as possible does not look whether it is ready, and a frame is
held for the time that encoding it takes.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from time import monotonic_ns
from typing import NamedTuple, TypeAlias

from reflexd.config.evidence import EvidenceSettings
from reflexd.evidence.ring import Key, Ring
from reflexd.history.budget import MB
from reflexd.jobs import CameraJob
from reflexd.rules.items import NS
from reflexd.workers import WAIT_S, Inbox, Wake, start_thread
from reflexd_drivers.base import Frame, View

SLACK_S = 1.0      # frames are kept so much longer than asked for: a rule fires a while after the frame that made it fire


Encode: TypeAlias = Callable[[View, int, int], bytes]


class Tap(NamedTuple):
    """Where frames of one camera come in."""

    job: CameraJob
    frames: Inbox[Frame]


class Keeper:
    """The thread. `follow` and `end` are for one other thread at a time.

    It runs with the priority of all others: the interpreter's lock may be with it at any moment, and a thread that has that and
    is not given the processor would hold up the decision loop.
    """

    def __init__(self) -> None:
        self.ring = Ring(0, 0)
        self.encoded = 0
        self.trouble = ""
        self._taps: dict[str, Tap] = {}
        self._settings: EvidenceSettings | None = None
        self._encode: Encode | None = None
        self._wake = Wake()
        self._ending = False
        self._thread: threading.Thread | None = None

    def follow(self, settings: EvidenceSettings | None, cameras: Mapping[str, CameraJob]) -> None:
        """Keep frames of these cameras from now on, as far as the settings name them, and of no other."""
        wanted = {} if settings is None else {name: job for name, job in cameras.items() if settings.cameras is None
                                              or name in settings.cameras}
        same_pace = settings is not None and self._settings is not None and settings.rate_hz == self._settings.rate_hz
        for name, tap in list(self._taps.items()):
            if wanted.get(name) is not tap.job or not same_pace:
                self._leave(name)
        self._settings = settings
        if settings is None:
            self.ring.forget()
            return
        from reflexd.evidence.jpeg import jpeg_of  # OpenCV is loaded where evidence is wanted

        self._encode = jpeg_of
        self.ring.change(round((settings.before_s + SLACK_S) * NS), round(settings.memory_mb * MB))
        for name, job in wanted.items():
            if name not in self._taps:
                self._taps = {**self._taps, name: Tap(job, job.add_guest(self._wake, settings.rate_hz))}
        if self._thread is None and self._taps:
            self._thread = start_thread("evidence frames", self._work)

    def leave(self, jobs: Mapping[str, CameraJob]) -> None:
        """Take no more frames of cameras that are closed, and forget what they saw."""
        for name, tap in list(self._taps.items()):
            if jobs.get(name) is tap.job:
                self._leave(name)
                self.ring.forget(name)

    def _leave(self, name: str) -> None:
        tap = self._taps[name]
        self._taps = {other: one for other, one in self._taps.items() if other != name}
        tap.job.remove_reader(tap.frames)

    def end(self) -> None:
        """Take no more frames; what is kept stays."""
        self._ending = True
        self._wake.set()

    def _work(self) -> None:
        while not self._ending:
            self._wake.wait(WAIT_S)
            settings = self._settings
            for name, tap in self._taps.items():
                frame = tap.frames.take()
                if frame is not None and settings is not None and self._encode is not None:
                    self._keep(name, frame, settings, self._encode)
                elif frame is not None:
                    frame.release()
            self.ring.trim(monotonic_ns())

    def _keep(self, name: str, frame: Frame, settings: EvidenceSettings, encode: Encode) -> None:
        """Encode a frame and keep it; whatever goes wrong costs that frame."""
        try:
            jpeg = encode(frame.views["main"], settings.size_px, settings.quality)
        except Exception as error:    # of OpenCV, for a view that is not what it says: no reason to end a reflex
            self.trouble = f"camera.{name}: a frame cannot be encoded: {error!r}"
            return
        finally:
            frame.release()
        self.ring.add(Key(frame.taken_at, name), jpeg, monotonic_ns())
        self.encoded += 1
        self.trouble = ""

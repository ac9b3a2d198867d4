"""The frames that networks looked at, given to one client that records them. While nobody does, there is nothing of this.

Each network's worker leaves the newest frame it looked at in an inbox of one, and goes on. The thread of the client copies it,
gives it back at once, and then encodes and sends: a client that is slow misses frames, which are counted, and costs the camera
one buffer for each network and the daemon one frame with its encoding.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping
from time import monotonic
from typing import Any

from reflexd.control import Parts
from reflexd.jobs import ModelJob
from reflexd.protocol import PART_BYTES, ControlError
from reflexd.status import Observer
from reflexd.stills import FORMS, Form, encoded
from reflexd.workers import Inbox, Wake
from reflexd_drivers.base import Frame, View
from reflexd_models.base import view_for

LOOK_S = 0.25            # how often it looks whether a reload brought other networks
TELL_S = 1.0             # how often it says something, so that a client that left is noticed
KNOWN = 64               # frames that are known to have been sent: several networks look at the same one


def frames(observer: Observer, busy: threading.Lock, request: Mapping[str, Any]) -> Parts:
    """Give frames until the client leaves; to one client at a time. Raises: ControlError."""
    form: Form | None = next((one for one in FORMS if one == request.get("form", "png")), None)
    if form is None:
        raise ControlError(f'frames takes "form", one of {", ".join(FORMS)}; found {str(request.get("form"))[:40]!r}')
    if not busy.acquire(blocking=False):
        raise ControlError("somebody records frames already; wait for the end of that")
    try:
        yield from Film(observer, form).parts()
    finally:
        busy.release()


class Film:
    """What one client is given."""

    def __init__(self, observer: Observer, form: Form) -> None:
        self._observer = observer
        self._form: Form = form
        self._wake = Wake()
        self._guests: dict[ModelJob, Inbox[Frame]] = {}
        self._sent: deque[tuple[str, int]] = deque(maxlen=KNOWN)
        self._lost = self._large = 0       # frames of networks that are gone; frames that cannot be sent

    def parts(self) -> Parts:
        """Say where bundles are, then give each frame, and now and then only how many were lost."""
        told_at = monotonic()
        yield {"state_dir": self._observer.settings.daemon.state_dir}, []
        try:
            while True:
                self._follow()
                self._wake.wait(LOOK_S)
                for job, guest in self._guests.items():
                    frame = guest.take()
                    if frame is not None and (part := self._part(job.looks_at, frame)) is not None:
                        yield part
                if monotonic() - told_at > TELL_S:
                    told_at = monotonic()
                    yield {"lost": self.lost, "large": self._large}, []
        finally:
            for job in list(self._guests):
                self._leave(job)

    @property
    def lost(self) -> int:
        """Count the frames that a network looked at and that did not get here."""
        return self._lost + self._large + sum(guest.dropped for guest in self._guests.values())

    def _follow(self) -> None:
        """Be a guest of the networks that there are now."""
        there = {job for job in list(self._observer.models.values()) if isinstance(job, ModelJob)}
        for job in self._guests.keys() - there:
            self._leave(job)
        for job in there - self._guests.keys():
            self._guests[job] = Inbox(1, self._wake, Frame.release)
            job.show_to(self._guests[job])

    def _leave(self, job: ModelJob) -> None:
        job.show_to(None)
        guest = self._guests.pop(job)
        self._lost += guest.dropped
        for frame in guest.drain():
            frame.release()

    def _part(self, camera: str, frame: Frame) -> tuple[object, list[memoryview]] | None:
        """Write a frame, which is given back before that; None for one that was sent already or is too large."""
        taken_at, sequence = frame.taken_at, frame.sequence
        try:
            if (known := (camera, taken_at)) in self._sent:
                return None
            sizes = {name: view.size_px for name, view in frame.views.items()}
            views = {name: View(view.format, tuple(plane.copy() for plane in view.planes))
                     for name, view in frame.views.items() if name in self._given(camera, frame.views)}
        finally:
            frame.release()
        self._sent.append(known)
        planes = {name: encoded(view, self._form) for name, view in views.items()}
        raw = [plane for each in planes.values() for plane in each]
        if sum(map(len, raw)) > PART_BYTES:
            self._large += 1
            return None
        return {"camera": camera.removeprefix("camera."), "taken_at": taken_at, "sequence": sequence, "form": self._form,
                "sizes": sizes, "views": {name: (view.format, len(view.planes)) for name, view in views.items()},
                "lost": self.lost, "large": self._large}, raw

    def _given(self, camera: str, views: Mapping[str, View]) -> set[str]:
        """Name the views that networks are given: the small one that a camera's scaler makes costs a tenth of the main one."""
        chosen = [view_for(job.model, views) for job in self._guests if job.looks_at == camera and job.model is not None]
        return {name for name, view in views.items() if any(view is one for one in chosen)} or {"main"}

"""What each kind of worker that reads does: read a camera, run a network on its frames, read a sensor."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from time import monotonic, monotonic_ns

from reflexd.health import LOOK_NS
from reflexd.looking import Looking
from reflexd.networks import NetworkJob
from reflexd.pace import Pace
from reflexd.rules.items import NS, Predicted, Rested, Sensed
from reflexd.workers import GIVE_UP_NS, WAIT_S, Inbox, Wake
from reflexd_drivers.base import (
    Camera,
    CameraSettings,
    Counts,
    DriverError,
    Frame,
    PassesOver,
    Reading,
    Sensor,
    SensorSettings,
)
from reflexd_models.base import Model, view_for

MS = 1_000_000


def silence_ns(settings: CameraSettings) -> int:
    """After how long in one read a camera is in trouble: 3 periods, at least 200 ms, less the time it takes to notice."""
    period = settings.max_age_ms * MS if settings.rate_hz is None else round(NS / settings.rate_hz)
    return max(3 * period, 200 * MS) - LOOK_NS


class Tally:
    """What a device counted, added up over every time that it was opened."""

    def __init__(self) -> None:
        self._before: Mapping[str, int] = {}
        self._device: object = None

    def follow(self, device: object) -> None:
        """Count on with a device that was opened anew; what it says is read until the next one takes its place."""
        self._before, self._device = self.total(), device

    def total(self) -> dict[str, int]:
        """Give each count."""
        now = self._device.counters() if isinstance(self._device, Counts) else {}
        return {name: self._before.get(name, 0) + now.get(name, 0) for name in {**self._before, **now}}


class CameraJob:
    """Reads frames and hands each to every reader."""

    def __init__(self, name: str, settings: CameraSettings, connect: Callable[[], Camera], looking: Looking) -> None:
        self.looking = looking
        self.name = f"camera.{name}"
        self.slow_ns = silence_ns(settings)
        self.bound_ns = self.slow_ns + GIVE_UP_NS
        self.frames = 0
        self.gaps = 0                 # frames that the camera itself lost
        self.counts = Tally()
        self.seen = settings.seen
        self._connect = connect
        self._camera: Camera | None = None
        self._readers: list[Inbox[Frame]] = []
        self._guests: tuple[tuple[Pace, Inbox[Frame]], ...] = ()
        self._sequence = -1
        self._lock = threading.Lock()   # around the readers; never held while reading

    def add_reader(self, wake: Wake) -> Inbox[Frame]:
        """Give an inbox in which the newest frame waits."""
        inbox: Inbox[Frame] = Inbox(1, wake, Frame.release)
        with self._lock:
            self._readers = [*self._readers, inbox]
        return inbox

    def add_guest(self, wake: Wake, rate_hz: float) -> Inbox[Frame]:
        """Give an inbox in which the newest of so many frames a second waits; no camera ever waits until it is taken."""
        inbox: Inbox[Frame] = Inbox(1, wake, Frame.release)
        with self._lock:
            self._guests = (*self._guests, (Pace(rate_hz), inbox))
        return inbox

    def remove_reader(self, inbox: Inbox[Frame]) -> None:
        """Put no more frames into an inbox, and take back what waits there."""
        with self._lock:           # held while a frame is handed out: afterwards no more arrive
            self._readers = [reader for reader in self._readers if reader is not inbox]
            self._guests = tuple(guest for guest in self._guests if guest[1] is not inbox)
        for frame in inbox.drain():
            frame.release()

    @contextmanager
    def showing(self, wake: Wake) -> Iterator[Inbox[Frame]]:
        """Show frames to a guest as long as the guest looks."""
        inbox = self.add_reader(wake)
        try:
            yield inbox
        finally:
            self.remove_reader(inbox)

    @property
    def about(self) -> str:
        """Say what was agreed on with the camera, where its driver tells."""
        return str(getattr(self._camera, "about", ""))

    def open(self) -> None:
        """Open the camera."""
        self._camera = self._connect()
        self.counts.follow(self._camera)
        self._sequence = -1
        self.looking.reopened()

    def step(self) -> bool:
        """Read one frame and hand it out, unless the picture is frozen. A lossless camera waits until the last one was taken.

        Raises: DriverError, and what its read() raises.
        """
        assert self._camera is not None, "opened before"
        if self._camera.lossless and not self._all_taken():
            return False
        frame = self._camera.read(self.slow_ns * 0.9 / NS)
        try:
            self._count(frame.sequence)
            if not self.looking.passes(frame):
                return False
            with self._lock:
                for reader in self._readers:
                    reader.put(frame.retain())
                for pace, guest in self._guests:
                    if pace.picks(frame.taken_at):
                        guest.put(frame.retain())
            self.looking.look(frame)
        finally:
            frame.release()
        return True

    def _all_taken(self) -> bool:
        """Wait for all readers together, in less than what is slow for any camera."""
        deadline = monotonic() + 0.1
        return all(reader.wait_until_taken(deadline - monotonic()) for reader in self._readers)

    def _count(self, sequence: int) -> None:
        self.frames += 1
        if 0 <= self._sequence < sequence - 1:
            self.gaps += sequence - 1 - self._sequence
        self._sequence = sequence

    def close(self) -> None:
        """Give the camera back."""
        camera, self._camera = self._camera, None
        if camera is not None:
            camera.close()


class ModelJob(NetworkJob[Model]):
    """Runs a network on the newest frame."""

    def __init__(self, name: str, settings: CameraSettings, load: Callable[[], Model], watch: frozenset[str],
                 camera: CameraJob, out: Inbox[Predicted | Rested], rate_hz: float | None = None) -> None:
        """`watch` has the labels whose scores the network computes; of more frames than `rate_hz` the rest goes back unread."""
        super().__init__(name, load, watch, settings.max_age_ms * MS, out)
        self.frames_unread = 0        # for it rested, or has a rate
        self._pace = Pace(rate_hz)
        self._required = settings.required
        self._camera = camera
        self._frames = camera.add_reader(self._wake)
        self._guest: Inbox[Frame] | None = None      # who is shown the frames that the network looked at
        self._showing = threading.Lock()     # around the guest; held while a frame is handed over

    @property
    def looks_at(self) -> str:
        """Name the camera whose frames it is given: "camera.NAME"."""
        return self._camera.name

    def show_to(self, guest: Inbox[Frame] | None) -> None:
        """Put each frame that the network looked at into an inbox as well, or into none: once this returns, no more arrive."""
        with self._showing:
            self._guest = guest

    @property
    def frames_dropped(self) -> int:
        """Count the frames that a newer one replaced before the network was free."""
        return self._frames.dropped

    def step(self) -> bool:
        """Take a frame if there is one, and tell what the network says of it."""
        model = self.held.take()
        frame = self._frames.take()
        if frame is None:
            self._wake.wait(WAIT_S)
            return False
        try:
            if self.resting or not self._pace.picks(frame.taken_at):
                self.frames_unread += 1
                if self._required:
                    self._out.put(Rested(self._model_name, frame.taken_at))
                return True
            began = monotonic_ns()
            prediction = model.predict(view_for(model, frame.views), frame.taken_at)
            self._tell(prediction, began)
            if self._guest is not None:
                self._show(frame)
        finally:
            frame.release()
        return True

    def _show(self, frame: Frame) -> None:
        with self._showing:
            if self._guest is not None:
                self._guest.put(frame.retain())

    def leave(self) -> None:
        """Read no more frames: another job takes the place of this one."""
        self._camera.remove_reader(self._frames)


class SensorJob:
    """Reads a sensor, often enough that a value which stays the same stays fresh."""

    def __init__(self, name: str, settings: SensorSettings, connect: Callable[[], Sensor], out: Inbox[Sensed]) -> None:
        self.name = f"sensor.{name}"
        self._timeout_s = min(settings.max_age_ms / 2000, WAIT_S)
        self.slow_ns = round((self._timeout_s + settings.read_bound_s) * NS)
        self.about = ""
        self.bound_ns = self.slow_ns + GIVE_UP_NS
        self.readings = 0
        self.counts = Tally()
        self.seen = settings.seen
        self._sensor_name = name
        self._connect = connect
        self._sensor: Sensor | None = None
        self._out = out
        self._readers: list[Inbox[Reading]] = []
        self._lock = threading.Lock()   # around the readers; never held while reading

    def add_reader(self, wake: Wake, bound: int) -> Inbox[Reading]:
        """Give an inbox in which every reading waits, also one that the rules are not told of; a text is a gap, and why."""
        inbox: Inbox[Reading] = Inbox(bound, wake)
        with self._lock:
            self._readers = [*self._readers, inbox]
        return inbox

    def remove_reader(self, inbox: Inbox[Reading]) -> None:
        """Put no more readings into an inbox."""
        with self._lock:
            self._readers = [reader for reader in self._readers if reader is not inbox]

    def open(self) -> None:
        """Open the sensor."""
        self._sensor = self._connect()
        self.counts.follow(self._sensor)

    def step(self) -> bool:
        """Hand one reading on."""
        assert self._sensor is not None, "opened before"
        try:
            reading = self._sensor.read(self._timeout_s)
        except DriverError as error:
            now = monotonic_ns()
            self._hand_out([Reading(str(error), now, now)])
            raise
        self.readings += 1
        self._out.put(Sensed(self._sensor_name, reading))
        if self._readers:
            self._hand_out([*(self._sensor.passed_over() if isinstance(self._sensor, PassesOver) else ()), reading])
        return True

    def _hand_out(self, readings: Sequence[Reading]) -> None:
        """Give readings, oldest first, to everybody who makes windows of them."""
        with self._lock:
            for reader in self._readers:
                for reading in readings:
                    reader.put(reading)

    def close(self) -> None:
        """Give the sensor back."""
        sensor, self._sensor = self._sensor, None
        if sensor is not None:
            sensor.close()

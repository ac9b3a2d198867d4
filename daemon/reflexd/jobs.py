"""What each kind of worker does: read a camera, run a network, read a sensor, drive an actuator."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from time import monotonic, monotonic_ns

from reflexd.health import LOOK_NS
from reflexd.looking import Looking
from reflexd.networks import Held
from reflexd.pace import Pace, Spans
from reflexd.rules.items import NS, Predicted, Rested, Sensed
from reflexd.workers import Inbox, Reports, Wake
from reflexd_drivers.base import (
    Actuator,
    AfterDeath,
    Camera,
    CameraSettings,
    Counts,
    DriverError,
    Frame,
    Moves,
    PassesOver,
    Reading,
    ReadsBack,
    Replugs,
    Sensor,
    SensorSettings,
)
from reflexd_models.base import Model, view_for
from reflexd_models.runtime import runtime

MS = 1_000_000
WAIT_S = 0.25                # how long a worker sleeps before it looks whether it has to end
LOOK_S = 0.1                 # how often the worker of an actuator looks whether the world followed
GIVE_UP_NS = 2 * NS          # past the bound of a call, until it counts as one that never returns
INFERENCE_BOUND_NS = 5 * NS
NOTHING = (False, None)


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
        self._sequence = -1
        self._lock = threading.Lock()   # around the readers; never held while reading

    def add_reader(self, wake: Wake) -> Inbox[Frame]:
        """Give an inbox in which the newest frame waits."""
        inbox: Inbox[Frame] = Inbox(1, wake, Frame.release)
        with self._lock:
            self._readers = [*self._readers, inbox]
        return inbox

    def remove_reader(self, inbox: Inbox[Frame]) -> None:
        """Put no more frames into an inbox, and take back what waits there."""
        with self._lock:           # held while a frame is handed out: afterwards no more arrive
            self._readers = [reader for reader in self._readers if reader is not inbox]
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


class ModelJob:
    """Runs a network on the newest frame."""

    def __init__(self, name: str, settings: CameraSettings, load: Callable[[], Model], watch: frozenset[str],
                 camera: CameraJob, out: Inbox[Predicted | Rested], rate_hz: float | None = None) -> None:
        """`watch` has the labels whose scores the network computes; of more frames than `rate_hz` the rest goes back unread."""
        self.name = f"model.{name}"
        self.watch = watch
        self.slow_ns = round(WAIT_S * NS) + settings.max_age_ms * MS
        self.bound_ns = max(self.slow_ns, INFERENCE_BOUND_NS) + GIVE_UP_NS
        self.resting = False          # set by the decision loop while only_while does not hold
        self.predictions = 0
        self.frames_unread = 0        # for it rested, or has a rate
        self.spans = Spans()
        self._pace = Pace(rate_hz)
        self.held = Held(load)
        self._model_name = name
        self._required = settings.required
        self._wake = Wake()
        self._camera = camera
        self._frames = camera.add_reader(self._wake)
        self._out = out

    @property
    def frames_dropped(self) -> int:
        """Count the frames that a newer one replaced before the network was free."""
        return self._frames.dropped

    @property
    def predictions_dropped(self) -> int:
        """Count the predictions that newer ones replaced before they were decided on."""
        return self._out.dropped

    @property
    def about(self) -> str:
        """Say which runtime was taken."""
        return runtime()

    @property
    def model(self) -> Model | None:
        """Give the network while it is open."""
        return self.held.network

    def exchange(self, network: Model) -> None:
        """Have another network run from the next frame on."""
        self.held.leave(network)
        self._wake.set()

    def open(self) -> None:
        """Load the network."""
        self.held.open()

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
        finally:
            frame.release()
        self.spans.add(prediction.taken_at, began)
        self.predictions += 1
        self._out.put(Predicted(self._model_name, prediction, self.held.exchanges))
        return True

    def close(self) -> None:
        """Let the network go."""
        self.held.close()

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


class ActuatorJob:
    """Drives an actuator that blocks. One command waits at most, and in it safe wins; a movement makes way for a new one."""

    trouble = ""
    failures = 0

    def __init__(self, name: str, actuator: Actuator, reports: Reports) -> None:
        self.name = f"actuator.{name}"
        self.slow_ns = self.bound_ns = GIVE_UP_NS
        self._actuator = actuator
        self._output = name
        self._reports = reports
        self._wake = Wake()
        self._lock = threading.Lock()     # around the two fields below; never held while driving
        self._waits: tuple[bool, float | None] = NOTHING     # the safe level first?, then which level
        self._busy = False
        self._failed = False
        self._next_at: float | None = None     # when a movement goes on, monotonic seconds; None while nothing moves
        self._look_s = look_s(actuator)

    @property
    def about(self) -> str:
        """Say what was agreed on with the actuator, where its driver tells."""
        return str(getattr(self._actuator, "about", ""))

    @property
    def settled(self) -> bool:
        """Say whether the last command has been carried out, its movement included; one that failed has not been."""
        with self._lock:
            return not self._busy and not self._failed and self._waits == NOTHING

    def set(self, level: float) -> None:
        """Leave a level for the worker; a safe level that still waits goes first."""
        with self._lock:
            self._waits = (self._waits[0], level)
        self._wake.set()

    def safe(self) -> None:
        """Leave the safe level for the worker, in place of any other."""
        with self._lock:
            self._waits = (True, None)
        self._wake.set()

    def check(self, now: int) -> None:
        """Nothing: the worker looks by itself, since that may take as long as a write."""

    def open(self) -> None:
        """Nothing: it was connected before the loop began, so that it is safe by then."""

    def step(self) -> bool:
        """Carry out what waits, or go on with a movement."""
        self._wake.wait(self._look_s if self._next_at is None else min(self._next_at - monotonic(), self._look_s))
        with self._lock:
            command, self._waits = self._waits, NOTHING
            self._busy = command != NOTHING or self._next_at is not None
        if not self._busy:
            self._look()
            return True
        try:
            self._carry_out(command)
            self._failed = False
        except DriverError as error:
            self._failed, self._next_at = True, None      # before it is no longer busy: at no moment does it count as settled
            self._not_taken(error)
        finally:
            self._busy = self._next_at is not None
        if not self._busy:
            self._reports.tell_settled()
        return True

    def _not_taken(self, error: DriverError) -> None:
        """Have every output kept safe until a restart."""
        self._reports.tell_failed_write(self._output, str(error))

    def _carry_out(self, command: tuple[bool, float | None]) -> None:
        safe_first, level = command
        if safe_first:
            self._actuator.safe()
        if level is not None:
            self._actuator.set(level)
        if not isinstance(self._actuator, Moves):
            return
        if command != NOTHING or self._next_at is None or monotonic() >= self._next_at:
            due_s = self._actuator.advance()
            self._next_at = None if due_s is None else monotonic() + due_s

    def _look(self) -> None:
        """See whether the world followed, where that can be seen."""
        if isinstance(self._actuator, ReadsBack):
            try:
                self._actuator.check(monotonic_ns())
            except DriverError as error:
                self._strays(error)

    def _strays(self, error: DriverError) -> None:
        self._reports.tell_astray(self._output, str(error))

    def close(self) -> None:
        """Leave the actuator driven safe: no command waits any more."""
        try:
            self._actuator.close()
        except DriverError as error:
            self._failed = True
            self._reports.tell_failed_write(self._output, str(error))
            return
        with self._lock:
            self._waits, self._busy, self._next_at = NOTHING, False, None
        self._reports.tell_settled()


def look_s(actuator: Actuator) -> float:
    """Say how often a worker looks at an actuator that it was told nothing of."""
    return LOOK_S if isinstance(actuator, ReadsBack) else WAIT_S


OPENING = "it is being opened"


class Unplugged:
    """Stands where an actuator will be."""

    blocking = True

    def __init__(self, after_death: Callable[[], AfterDeath]) -> None:
        self.after_death = after_death

    def set(self, level: float) -> None:
        """Raises: DriverError."""
        raise DriverError("the actuator is not open; plug it in")

    def safe(self) -> None:
        """Nothing: it is at its safe level when it is opened, and drives nothing before."""

    def close(self) -> None:
        """Nothing."""


class PluggedJob(ActuatorJob):
    """Drives an actuator that can be unplugged, and opens it; the gate keeps every output safe while `trouble` says why.

    Whatever failed, `trouble` is told before the failure is counted, and ends only once the device stands at its
    safe level. The gate takes each failure in, so it asks for nothing but safe until it knows that the trouble is over.
    """

    blocking = True

    def __init__(self, name: str, connect: Callable[[], Actuator], settings: Replugs, reports: Reports) -> None:
        super().__init__(name, Unplugged(settings.after_death), reports)
        self.after_death = settings.after_death
        self.seen = settings.seen
        self.driven = False           # at least once open, so that it may not be safe when it is gone
        self.trouble = OPENING
        self._connect = connect
        self._failed = True           # until it is open nobody knows where it stands

    def open(self) -> None:
        """Open the device, which is at its safe level then. What waited is of the time before."""
        try:
            self._actuator = self._connect()
        except DriverError as error:
            self._stumble(error)
            raise
        with self._lock:
            self._waits, self._next_at = NOTHING, None
        self._look_s = look_s(self._actuator)
        self.driven, self._failed, self.trouble = True, False, ""
        self._reports.tell_settled()

    def _not_taken(self, error: DriverError) -> None:
        self._stumble(error)
        raise error

    _strays = _not_taken      # a device that is gone is one that does not follow

    def write_off(self) -> None:
        """Count as settled for good: it was never open, so nothing that it drove has to be waited for."""
        self._failed = False
        self._reports.tell_settled()

    def _stumble(self, error: DriverError) -> None:
        first, self.trouble, self._failed = self.trouble in ("", OPENING), str(error), True
        self.failures += first
        self._reports.tell_settled()

    def close(self) -> None:
        """Leave the device driven safe where it still takes that; else the next opening does."""
        if not self._failed:
            super().close()
            return
        actuator, self._actuator = self._actuator, Unplugged(self.after_death)
        with suppress(DriverError):      # what failed before says more
            actuator.close()

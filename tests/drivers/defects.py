"""Drivers that keep the contract, and for each promise one that breaks it."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from reflexd_drivers.base import (
    ActuatorSettings,
    AfterDeath,
    CameraSettings,
    DriverError,
    Frame,
    FramePool,
    Reading,
    SensorSettings,
    SilentError,
    SysfsWrite,
    View,
)
from reflexd_drivers.contract import Scenario


class World:
    """The device itself: there or not, speaking or not, at a level."""

    def __init__(self) -> None:
        self.plugged = True
        self.quiet = False
        self.level = 0.0
        self.users = 0
        self.left: list[Any] = []      # what a bad driver forgets, for the test to take away


class CameraSettingsOfOurs(CameraSettings):
    there: bool = Field(default=True, description="whether the device is there")


class SensorSettingsOfOurs(SensorSettings):
    there: bool = Field(default=True, description="whether the device is there")

    @property
    def gives(self) -> Any:
        return "number"

    @property
    def bounds(self) -> tuple[float, float]:
        return -40.0, 85.0


class ActuatorSettingsOfOurs(ActuatorSettings):
    there: bool = Field(default=True, description="whether the device is there")


class Unexplained(SensorSettings):
    there: bool = True


class NotOfAFile(SensorSettingsOfOurs):
    folder: Path = Field(default=Path("/sys"), description="a default that no configuration could say")


class Permissive(SensorSettingsOfOurs):
    model_config: ClassVar[Any] = {"extra": "allow"}


class Device:
    """What the sound drivers share: a descriptor, and a flag that ends what waits."""

    settings: ClassVar[type] = SensorSettingsOfOurs

    def __init__(self, world: World, settings: Any) -> None:
        self.world, self.setting = world, settings
        if not settings.there:
            raise self.absent()
        if world.users:
            raise DriverError("/dev/fake: the device is in use by this process; close it there")
        world.users += 1
        self.closed = threading.Event()
        self.file = os.open("/dev/null", os.O_RDONLY)

    def absent(self) -> Exception:
        return DriverError("/dev/fake: there is no such device; plug it in")

    def check(self) -> None:
        if self.closed.is_set():
            raise DriverError("/dev/fake: the device was closed; open it again")
        if not self.world.plugged:
            raise DriverError("/dev/fake: the device was unplugged; plug it in")

    def wait(self, timeout_s: float) -> None:
        """Wait for the device to speak."""
        self.check()
        self.closed.wait(timeout_s if self.world.quiet else min(timeout_s, 0.005))
        self.check()
        if self.world.quiet:
            raise SilentError("/dev/fake: the device says nothing; check its cable")

    def close(self) -> None:
        if not self.closed.is_set():
            self.closed.set()
            self.world.users -= 1
            os.close(self.file)


class Sensor(Device):
    def __init__(self, world: World, settings: Any) -> None:
        super().__init__(world, settings)
        self.changed_at = time.monotonic_ns()

    def read(self, timeout_s: float) -> Reading:
        self.wait(timeout_s)
        return Reading(21.5, time.monotonic_ns(), self.changed_at)


class Camera(Device):
    settings = CameraSettingsOfOurs
    lossless = False

    def __init__(self, world: World, settings: Any) -> None:
        super().__init__(world, settings)
        self.pool = FramePool(lambda: {"main": View("grey", (np.zeros((4, 6), np.uint8),))})
        self.sequence = 0

    def read(self, timeout_s: float) -> Frame:
        self.wait(timeout_s)
        slot = self.pool.take()
        assert slot is not None
        self.sequence += 1
        slot.views["main"].planes[0][:] = self.sequence
        return Frame(time.monotonic_ns(), self.sequence, slot)


class Actuator(Device):
    settings = ActuatorSettingsOfOurs
    blocking = False

    def __init__(self, world: World, settings: Any) -> None:
        super().__init__(world, settings)
        self.safe()

    def set(self, level: float) -> None:
        self.check()
        self.world.level = level

    def safe(self) -> None:
        self.set(self.setting.safe)

    def close(self) -> None:
        if not self.closed.is_set():
            self.world.level = self.setting.safe
        super().close()

    def after_death(self) -> AfterDeath:
        return SysfsWrite("/sys/fake", "0")


class Case(Scenario):
    """Any of these drivers on a device of its own."""

    exclusive = True
    connect_s = close_s = 0.5

    def __init__(self, made: type[Device], **table: Any) -> None:
        self.made, self.world = made, World()
        super().__init__({"driver": "fake", **({"safe": "off"} if issubclass(made, Actuator) else {}), **table},
                         {"there": False}, lambda: self.world.level)

    def driver(self, _kind: Any) -> Any:
        return SimpleNamespace(Settings=self.made.settings, connect=lambda settings: self.made(self.world, settings))

    def go_quiet(self) -> None:
        self.world.quiet = True

    def vanish(self) -> None:
        self.world.plugged = False

    def end(self) -> None:
        for one in self.world.left:
            one()


SOUND: dict[str, type[Device]] = {"camera": Camera, "sensor": Sensor, "actuator": Actuator}


def saying(error: Exception) -> type[Sensor]:
    """Make a driver whose device is absent with these words."""
    return type("Saying", (Sensor,), {"absent": lambda _self: error})


class NoDescription(Sensor):
    settings = Unexplained


class AnyKey(Sensor):
    settings = Permissive


class DefaultPath(Sensor):
    settings = NotOfAFile


class LeakyOpening(Sensor):
    def absent(self) -> Exception:
        file = os.open("/dev/null", os.O_RDONLY)
        self.world.left.append(lambda: os.close(file))
        return super().absent()


class EndlessOpening(Sensor):
    def __init__(self, world: World, settings: Any) -> None:
        if not settings.there:
            time.sleep(1.5)
        super().__init__(world, settings)


class EndlessClosing(Sensor):
    def close(self) -> None:
        time.sleep(1.5)
        super().close()


class ClosesOnce(Sensor):
    def close(self) -> None:
        self.check()
        super().close()


class Leaky(Sensor):
    def close(self) -> None:
        again = os.dup(self.file)
        self.world.left.append(lambda: os.close(again))
        super().close()


class ClosesTwice(Sensor):
    """Closes a number that belongs to somebody else by now."""

    def close(self) -> None:
        if not self.closed.is_set():
            os.close(self.world.other)      # type: ignore[attr-defined]
        super().close()


class Threaded(Sensor):
    def __init__(self, world: World, settings: Any) -> None:
        super().__init__(world, settings)
        self.thread = threading.Thread(target=self.closed.wait, daemon=True)
        self.thread.start()

    def close(self) -> None:
        super().close()
        self.thread.join()


class Orphaned(Sensor):
    """Leaves a thread behind."""

    def close(self) -> None:
        stop = threading.Event()
        threading.Thread(target=stop.wait, daemon=True).start()
        self.world.left.append(stop.set)
        super().close()


class OpensOnce(Sensor):
    def close(self) -> None:
        users = self.world.users
        super().close()
        self.world.users = users


class Stealing(Sensor):
    """Ends the first opening with the second."""

    def __init__(self, world: World, settings: Any) -> None:
        if world.users:
            world.plugged = False
        super().__init__(world, settings)


class Shared(Sensor):
    def __init__(self, world: World, settings: Any) -> None:
        world.users = 0
        super().__init__(world, settings)


class BreaksWhenGone(Sensor):
    def check(self) -> None:
        if not self.world.plugged:
            raise AttributeError("'NoneType' object has no attribute 'read'")
        super().check()


class SilentWhenGone(Sensor):
    def check(self) -> None:
        if not self.world.plugged:
            time.sleep(0.05)
            raise SilentError("/dev/fake: the device says nothing; check its cable")
        super().check()


class Unhurried(Sensor):
    def read(self, timeout_s: float) -> Reading:
        return super().read(timeout_s + 0.5)


class DeafReading(Sensor):
    """Reads on until its time is over, closed or not."""

    def read(self, timeout_s: float) -> Reading:
        if self.world.quiet:
            time.sleep(min(timeout_s, 0.6))
        return super().read(timeout_s)


class ReadsWhenClosed(Sensor):
    def check(self) -> None:
        pass


class StuckSequence(Camera):
    def read(self, timeout_s: float) -> Frame:
        self.sequence = 0
        return super().read(timeout_s)


class WallClock(Camera):
    def read(self, timeout_s: float) -> Frame:
        frame = super().read(timeout_s)
        return Frame(time.time_ns(), frame.sequence, frame.slot)


class OneBuffer(Camera):
    """Fills the buffer that somebody holds."""

    def read(self, timeout_s: float) -> Frame:
        frame = super().read(timeout_s)
        if self.sequence > 1:
            self.first.views["main"].planes[0][:] = self.sequence
        else:
            self.first = frame
        return frame


class OldReading(Sensor):
    def read(self, timeout_s: float) -> Reading:
        return Reading(super().read(timeout_s).value, self.changed_at, self.changed_at)


class AlwaysChanged(Sensor):
    def read(self, timeout_s: float) -> Reading:
        self.changed_at = time.monotonic_ns()
        return super().read(timeout_s)


class MissingNumbers(Sensor):
    def read(self, timeout_s: float) -> Reading:
        reading = super().read(timeout_s)
        return Reading(reading.value, reading.taken_at, reading.changed_at, values=(21.5, 3.0))


class OtherKind(Sensor):
    def read(self, timeout_s: float) -> Any:
        now = super().read(timeout_s).taken_at
        return Reading("21.5", now, now)


class OutOfBounds(Sensor):
    def read(self, timeout_s: float) -> Reading:
        now = super().read(timeout_s).taken_at
        return Reading(85.1, now, now)


class LeftOn(Actuator):
    def close(self) -> None:
        level = self.world.level
        super().close()
        self.world.level = level


class BegunOff(Actuator):
    """Is opened at off, whatever is safe."""

    def __init__(self, world: World, settings: Any) -> None:
        super().__init__(world, settings)
        self.world.level = 0.0


class SafeOnlyAtFirst(Actuator):
    def safe(self) -> None:
        if not hasattr(self, "begun"):
            super().safe()
        self.begun = True


class SetsWhenClosed(Actuator):
    def check(self) -> None:
        pass


class Unguarded(Actuator):
    def after_death(self) -> AfterDeath:
        return None


class SlowAndQuiet(Actuator):
    def set(self, level: float) -> None:
        super().set(level)
        time.sleep(0.02)


ABSENT = "test_a_device_that_is_not_there_gives_one_line_that_says_what_to_do"
SETTINGS = "test_settings_refine_those_of_the_kind_and_explain_each_key"
BOUNDED = "test_opening_and_closing_are_bounded_and_a_second_close_does_nothing"
NOTHING_LEFT = "test_it_starts_no_thread_and_leaves_nothing_open"
SECOND = "test_a_second_opening_is_refused_with_the_reason_or_works_and_the_first_works_on"
GONE = "test_a_device_that_goes_away_while_it_is_open_ends_in_an_error_and_leaves_nothing"
CLOSE = "test_close_from_another_thread_ends_a_read_soon"
FRAME = "test_a_frame_has_a_rising_sequence_and_a_time_that_is_now"
REPEATS = "test_a_sensor_repeats_its_value_with_a_new_time_and_keeps_when_it_changed"
SAFE = "test_it_is_at_its_safe_level_after_connect_and_after_close"

DEFECTS: list[tuple[type[Device], str]] = [
    (NoDescription, SETTINGS),
    (AnyKey, SETTINGS),
    (DefaultPath, "test_settings_are_made_of_what_a_configuration_can_say"),
    (saying(DriverError("no such device")), ABSENT),
    (saying(DriverError("/dev/fake: there is no such device")), ABSENT),
    (saying(DriverError("/dev/fake: there is no such device; plug it in.")), ABSENT),
    (saying(DriverError("/dev/fake: No such device; plug it in")), ABSENT),
    (saying(DriverError("/dev/fake: there is no such device;\nplug it in")), ABSENT),
    (saying(ValueError("/dev/fake: there is no such device; plug it in")), ABSENT),
    (LeakyOpening, ABSENT),
    (EndlessOpening, ABSENT),
    (EndlessClosing, BOUNDED),
    (ClosesOnce, BOUNDED),
    (Leaky, NOTHING_LEFT),
    (ClosesTwice, NOTHING_LEFT),
    (Threaded, NOTHING_LEFT),
    (Orphaned, NOTHING_LEFT),
    (OpensOnce, "test_a_device_can_be_opened_again_after_close"),
    (Stealing, SECOND),
    (Shared, SECOND),
    (BreaksWhenGone, GONE),
    (SilentWhenGone, GONE),
    (Unhurried, "test_a_read_keeps_its_bound"),
    (DeafReading, CLOSE),
    (ReadsWhenClosed, CLOSE),
    (StuckSequence, FRAME),
    (WallClock, FRAME),
    (OneBuffer, "test_the_pixels_of_a_frame_stay_while_somebody_holds_it"),
    (OldReading, REPEATS),
    (AlwaysChanged, REPEATS),
    (MissingNumbers, "test_a_reading_has_the_numbers_that_the_settings_name_and_the_first_is_its_value"),
    (OtherKind, "test_a_value_is_of_the_kind_that_the_settings_say"),
    (OutOfBounds, "test_a_number_is_within_the_bounds_that_the_settings_say"),
    (LeftOn, SAFE),
    (BegunOff, SAFE),
    (SafeOnlyAtFirst, SAFE),
    (SetsWhenClosed, SAFE),
    (Unguarded, "test_settings_say_whether_something_sets_the_safe_level_after_a_death"),
    (SlowAndQuiet, "test_one_that_may_block_says_so"),
]

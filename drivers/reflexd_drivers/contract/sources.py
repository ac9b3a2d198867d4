"""The promises of cameras and sensors: reads that end, whatever the device does."""

from __future__ import annotations

import threading
from contextlib import suppress
from time import monotonic, monotonic_ns, sleep
from typing import Any, ClassVar

import pytest

from reflexd_drivers import registry
from reflexd_drivers.base import DriverError, Frame, SilentError
from reflexd_drivers.contract.common import Contract
from reflexd_drivers.contract.scenario import Scenario
from reflexd_drivers.contract.traces import within

LATE_S = 0.15     # how much longer than its timeout a read may take,
TRIES = 3         # in one of so many in a row: a computer that is busy with others makes one late, and a driver each
CLOSE_S = 0.3     # how soon a read ends once another thread closes the device
GONE_S = 2.0      # how soon a read says that the device is gone
KINDS = {bool: "boolean", float: "number", int: "number", str: "text"}


def take(device: Any, timeout_s: float) -> Any:   # noqa: ANN401  a frame or a reading
    """Read, and give the pixels of a frame back."""
    item = device.read(timeout_s)
    if isinstance(item, Frame):
        item.release()
    return item


class SourceContract(Contract):
    """What cameras and sensors share."""

    def use(self, case: Scenario, device: Any) -> None:   # noqa: ANN401
        """Read once."""
        take(device, 1.0)

    def failure(self, case: Scenario, device: Any) -> DriverError:   # noqa: ANN401
        """Read until it says that the device is gone."""
        until = monotonic() + GONE_S
        while monotonic() < until:
            try:
                take(device, 0.05)
            except SilentError:
                continue
            except DriverError as error:
                return error
        pytest.fail(f"the device has been gone for {GONE_S:g} s, and no read said so")

    def test_a_read_keeps_its_bound(self, case: Scenario) -> None:
        device = case.open(self.kind)
        try:
            for _ in range(5):
                took = [self._took(device, 0.05)]
                while took[-1] >= 0.05 + LATE_S and len(took) < TRIES:
                    took.append(self._took(device, 0.05))
                assert took[-1] < 0.05 + LATE_S
                case.go_quiet()
        finally:
            device.close()

    def _took(self, device: Any, timeout_s: float) -> float:   # noqa: ANN401
        """Read, and give the seconds that it took."""
        began = monotonic()
        with suppress(DriverError):
            within(5.0, lambda: take(device, timeout_s))
        return monotonic() - began

    def test_close_from_another_thread_ends_a_read_soon(self, case: Scenario) -> None:
        device = case.open(self.kind)
        take(device, 1.0)
        case.go_quiet()
        caught: list[BaseException] = []
        done: list[float] = []

        def read() -> None:
            try:
                while True:
                    take(device, 5.0)
            except BaseException as error:   # also one that breaks the contract
                caught.append(error)
            done.append(monotonic())

        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        sleep(0.05)
        closed_at = monotonic()
        device.close()
        reader.join(4)
        assert not reader.is_alive(), "the read ended"
        assert done[0] - closed_at < CLOSE_S
        with pytest.raises(DriverError) as again:
            device.read(0.01)
        for error in (caught[0], again.value):
            assert isinstance(error, DriverError)
            assert not isinstance(error, SilentError), "a device that was closed is not a silent one"


class CameraContract(SourceContract):
    """What a camera promises."""

    kind: ClassVar[registry.Kind] = "camera"

    def test_a_frame_has_a_rising_sequence_and_a_time_that_is_now(self, case: Scenario) -> None:
        device = case.open(self.kind)
        before, frames = monotonic_ns(), []
        for _ in range(3):
            frame = device.read(1.0)
            frames.append((frame.sequence, frame.taken_at, frame.views["main"].planes[0].dtype.name))
            frame.release()
        device.close()
        assert [frame[0] for frame in frames] == sorted({frame[0] for frame in frames}), "each sequence is greater than the last"
        assert [frame[1] for frame in frames] == sorted(frame[1] for frame in frames)
        assert all(before - 5e9 <= frame[1] <= monotonic_ns() for frame in frames), "taken_at is monotonic nanoseconds"
        assert {frame[2] for frame in frames} == {"uint8"}
        assert isinstance(device.lossless, bool)

    def test_the_pixels_of_a_frame_stay_while_somebody_holds_it(self, case: Scenario) -> None:
        device = case.open(self.kind)
        frame = device.read(1.0)
        was = [plane.copy() for view in frame.views.values() for plane in view.planes]
        for _ in range(5):
            take(device, 1.0)
        planes = [plane for view in frame.views.values() for plane in view.planes]
        same = all((plane == old).all() for plane, old in zip(planes, was, strict=True))
        frame.release()
        device.close()
        assert same, "the buffer of a frame that is held was written to"


class SensorContract(SourceContract):
    """What a sensor promises."""

    kind: ClassVar[registry.Kind] = "sensor"

    def test_a_sensor_repeats_its_value_with_a_new_time_and_keeps_when_it_changed(self, case: Scenario) -> None:
        device = case.open(self.kind)
        first = device.read(0.2)
        began = monotonic_ns()
        again = device.read(case.repeats_s)
        device.close()
        assert again.value == first.value
        assert again.taken_at > first.taken_at
        assert monotonic_ns() >= again.taken_at >= began, "taken_at is monotonic nanoseconds"
        assert again.changed_at == first.changed_at <= first.taken_at

    def test_a_value_is_of_the_kind_that_the_settings_say(self, case: Scenario) -> None:
        device = case.open(self.kind)
        value = device.read(1.0).value
        device.close()
        gives = case.driver(self.kind).Settings.model_validate(case.table).gives
        assert gives in (None, KINDS[type(value)])

    def test_a_number_is_within_the_bounds_that_the_settings_say(self, case: Scenario) -> None:
        device = case.open(self.kind)
        value = device.read(1.0).value
        device.close()
        bounds = case.driver(self.kind).Settings.model_validate(case.table).bounds
        assert bounds is None or isinstance(value, (bool, str)) or bounds[0] <= value <= bounds[1]

    def test_a_reading_has_the_numbers_that_the_settings_name_and_the_first_is_its_value(self, case: Scenario) -> None:
        device = case.open(self.kind)
        reading = device.read(1.0)
        device.close()
        numbers = reading.values or (reading.value,)
        assert len(numbers) == len(case.driver(self.kind).Settings.model_validate(case.table).channels)
        assert numbers[0] == reading.value

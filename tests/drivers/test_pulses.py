"""Pulses and echoes, on lines that behave like the kernel's."""

from __future__ import annotations

from time import monotonic_ns
from typing import Any

import pytest
from pydantic import ValidationError

from reflexd_drivers import gpio
from reflexd_drivers.base import DriverError, NotYetError, SilentError
from reflexd_drivers.sensors import distance, pulse_counter
from reflexd_drivers.sensors.pulse_counter import Rate

from .echo import Module
from .storm import Storm

CHIP = "test_pulses"
S = 1_000_000_000


def pin() -> Any:
    return gpio.open_header("mock", CHIP).factory.pin("GPIO6")


def meter(**table: Any) -> pulse_counter.PulseCounter:
    wanted = {"driver": "pulse-counter", "pin": "GPIO6", "pull": "up", "factory": "mock", "chip": CHIP, **table}
    return pulse_counter.connect(pulse_counter.Settings.model_validate(wanted))


def pulses(count: int) -> None:
    for _ in range(count):
        pin().drive_low()
        pin().drive_high()


def test_a_count_begins_with_the_opening_and_is_told_in_units() -> None:
    device = meter(per_pulse=0.001)
    assert device.read(0).value == 0
    pulses(7)
    assert device.read(1).value == pytest.approx(0.007)
    pulses(3)
    reading = device.read(1)
    assert reading.value == pytest.approx(0.010)
    again = device.read(0.01)
    device.close()
    assert again.value == reading.value
    assert again.changed_at == reading.changed_at < again.taken_at
    fresh = meter()
    assert fresh.read(0).value == 0
    fresh.close()


def test_a_contact_that_is_closed_when_it_is_opened_is_no_pulse() -> None:
    device = meter(active="high")
    assert device.read(0).value == 0, "the line is high, and did not rise"
    pulses(1)
    assert device.read(1).value == 1
    device.close()


def test_pulses_that_the_kernels_queue_lost_are_in_the_count() -> None:
    line = Storm()
    gpio._headers["mock", "pulse-line"] = line.header()
    device = meter(chip="pulse-line", active="high")
    device.read(0)
    line.edge(1, True, monotonic_ns())
    line.edge(400, False, monotonic_ns())
    assert device.read(1).value == 200
    assert device.counters() == {"edges": 400, "lost": 398, "storms": 0, "noise": 0}
    device.close()


@pytest.mark.fault("F37", bound="1 s", outcome="more pulses than can be true are no value; they are counted as noise")
def test_pulses_faster_than_can_be_true_are_counted_apart_and_are_no_value() -> None:
    device = meter(max_rate_hz=50)
    device.read(0)
    pulses(40)
    assert device.read(1).value == 40
    pulses(40)
    with pytest.raises(SilentError, match="GPIO6: more pulses come than max_rate_hz = 50 allows; check the contact"):
        device.read(1)
    assert device.counters()["noise"] == 40
    device.close()


def test_a_rate_is_that_between_the_first_and_the_last_pulse_of_the_window() -> None:
    rate = Rate(10 * S)
    for number in range(21):
        rate.note(number * S // 4, number)
    assert rate.per_second(5 * S) == pytest.approx(4.0)


def test_a_rate_falls_to_nothing_when_pulses_stop() -> None:
    rate = Rate(10 * S)
    rate.note(0, 1)
    assert rate.per_second(0) == 0, "one pulse is no rate"
    rate.note(S // 2, 2)
    assert rate.per_second(S // 2) == pytest.approx(2.0)
    assert rate.per_second(S // 2 + 2 * S) == pytest.approx(0.5), "not more than one pulse in the pause"
    assert rate.per_second(11 * S) == 0


def test_the_rate_of_a_line_is_per_second_and_in_units() -> None:
    line = Storm()
    gpio._headers["mock", "rate-line"] = line.header()
    device = meter(chip="rate-line", active="high", value="rate", per_pulse=0.5)
    device.read(0)
    now = monotonic_ns()
    line.edge(1, True, now - S)
    device.read(1)
    line.edge(9, True, now)
    value = device.read(1).value
    device.close()
    assert isinstance(value, float)
    assert 1.9 < value <= 2.0, "4 pulses in a second stand for 0.5 each"


def test_a_rate_that_cannot_be_true_never_becomes_a_value() -> None:
    line = Storm()
    gpio._headers["mock", "bounce-line"] = line.header()
    device = meter(chip="bounce-line", active="high", value="rate", max_rate_hz=20, window_s=3)
    device.read(0)
    now = monotonic_ns()
    line.edge(1, True, now - 3 * S // 2)
    device.read(1)
    line.edge(3, True, now - 3 * S // 2 + S // 500)      # a contact that bounces: 500 pulses a second
    with pytest.raises(SilentError, match="more pulses come than max_rate_hz = 20 allows"):
        device.read(1)
    with pytest.raises(SilentError):      # and no slower wind when it has been quiet for a moment
        device.read(0.2)
    line.edge(5, True, monotonic_ns())
    value = device.read(1).value
    device.close()
    assert isinstance(value, float)
    assert 0 < value < 1.5, "two pulses in more than 1.5 s"


def ranger(module: Module, **table: Any) -> distance.Distance:
    wanted = {"driver": "distance", "trigger_pin": "GPIO20", "echo_pin": "GPIO21", "factory": "mock", "chip": module.chip,
              "every_ms": 60, **table}
    return distance.connect(distance.Settings.model_validate(wanted))


def test_a_distance_is_the_median_of_some_echoes() -> None:
    module = Module(metres=1.25)
    device = ranger(module)
    with pytest.raises(NotYetError):
        device.read(0)
    reading = device.read(5)
    assert reading.value == pytest.approx(1.25, abs=1e-3)
    module.metres = 0.5
    device.read(5)
    value = device.read(5).value
    device.close()
    assert value == pytest.approx(0.5, abs=1e-3), "two of three"
    assert module.triggers == 5


def test_colder_air_carries_sound_more_slowly() -> None:
    device = ranger(Module(metres=1.0), samples=1, temperature_c=-10)
    value = device.read(5).value
    device.close()
    assert value == pytest.approx(0.947, abs=1e-3)
    assert distance.speed_of_sound(20) == pytest.approx(343.2, abs=0.1)


@pytest.mark.fault("F37", bound="3 sounds", outcome="no echo, or one from too far, is no value: the sensor is degraded")
@pytest.mark.parametrize("metres", [None, 5.0])
def test_without_an_echo_there_is_no_number(metres: float | None) -> None:
    module = Module(metres=1.0)
    device = ranger(module)
    assert device.read(5).value == pytest.approx(1.0, abs=1e-3)
    module.metres = metres
    device.read(5)      # one of three is missed
    for _ in range(2):
        with pytest.raises(SilentError, match="GPIO21: no echo from within 4 m; check the module"):
            device.read(5)
    assert device.counters() == {"missed": 3}
    module.metres = 2.0
    with pytest.raises(SilentError):
        device.read(5)
    assert device.read(5).value == pytest.approx(2.0, abs=1e-3), "it comes back by itself"
    device.close()


def test_a_median_over_more_than_max_age_is_refused() -> None:
    keys = {"driver": "distance", "trigger_pin": "GPIO20", "echo_pin": "GPIO21"}
    with pytest.raises(ValidationError, match="15 sounds take 12600 ms, longer than max_age_ms = 1000"):
        distance.Settings.model_validate({**keys, "samples": 15, "every_ms": 900})
    distance.Settings.model_validate({**keys, "samples": 15, "every_ms": 60})


def test_two_pins_are_needed_and_a_failed_opening_keeps_none() -> None:
    module = Module(metres=1.0)
    with pytest.raises(ValidationError, match="both trigger_pin and echo_pin; use two pins"):
        ranger(module, echo_pin="GPIO20")
    first = ranger(module)
    with pytest.raises(DriverError, match="GPIO20: the pin is already in use"):
        ranger(module)
    with pytest.raises(DriverError, match="GPIO21: the pin is already in use"):
        ranger(module, trigger_pin="GPIO22")
    ranger(module, trigger_pin="GPIO22", echo_pin="GPIO23").close()
    first.close()
    assert gpio.open_header("mock", module.chip).factory.pin("GPIO20").state is False

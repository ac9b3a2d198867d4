"""Pins without hardware, and lgpio's order of claims on a library that behaves like it."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from reflexd_drivers import gpio
from reflexd_drivers.actuators import gpio_output
from reflexd_drivers.base import DriverError, GpioLine
from reflexd_drivers.gpio import Chip, find_chip
from reflexd_drivers.sensors import gpio_input
from tests.stopwatch import Stopwatch

CHIP = "test_gpio"


def pin(name: str) -> Any:
    return gpio.open_header("mock", CHIP).factory.pin(name)


def switch(**table: Any) -> gpio_input.GpioInput:
    wanted = {"driver": "gpio-input", "pin": "GPIO4", "pull": "down", "factory": "mock", "chip": CHIP, **table}
    return gpio_input.connect(gpio_input.Settings.model_validate(wanted))


def relay(**table: Any) -> gpio_output.GpioOutput:
    wanted = {"driver": "gpio-output", "pin": "GPIO17", "safe": "off", "factory": "mock", "chip": CHIP, **table}
    return gpio_output.connect(gpio_output.Settings.model_validate(wanted))


def test_a_press_and_release_between_two_reads_shows_in_the_counts() -> None:
    device = switch()
    device.read(0)
    pin("GPIO4").drive_high()
    pin("GPIO4").drive_low()
    reading = device.read(1)
    device.close()
    assert (reading.value, reading.rises, reading.falls) == (False, 1, 1)


def test_a_change_ends_a_read_at_once() -> None:
    device = switch()
    device.read(0)
    threading.Timer(0.05, pin("GPIO4").drive_high).start()
    with Stopwatch() as took:
        reading = device.read(5)
        device.close()
    assert took.seconds < 0.5
    assert reading.value is True
    assert reading.changed_at <= reading.taken_at


def test_an_edge_that_nobody_told_of_is_seen_on_the_pin() -> None:
    device = switch()
    device.read(0)
    pin("GPIO4")._state = True      # the level changed and no callback came
    reading = device.read(0.01)
    device.close()
    assert (reading.value, reading.rises, reading.falls) == (True, 1, 0)


@pytest.mark.fault("F21", bound="debounce_ms", outcome="a level that did not last is no edge")
def test_a_level_that_is_gone_after_the_debounce_time_was_a_bounce() -> None:
    device = switch(debounce_ms=100)
    device.read(0)
    pin("GPIO4").drive_high()
    pin("GPIO4").drive_low()
    bounced = device.read(0.3)
    pin("GPIO4").drive_high()
    pressed = device.read(5)
    device.close()
    assert (bounced.value, bounced.rises, bounced.falls) == (False, 0, 0)
    assert (pressed.value, pressed.rises, pressed.falls) == (True, 1, 0)


def test_an_active_low_switch_is_true_while_its_line_is_low() -> None:
    device = switch(pull="up", active="low")
    assert device.read(0).value is False
    pin("GPIO4").drive_low()
    reading = device.read(1)
    device.close()
    assert (reading.value, reading.rises) == (True, 1)


def test_edges_after_close_reach_nobody() -> None:
    device = switch()
    counted = device.counters()
    device.close()
    pin("GPIO4").drive_high()
    pin("GPIO4").drive_low()
    assert device.counters() == counted
    with pytest.raises(DriverError, match="closed"):
        device.read(0.01)


def test_an_active_low_relay_never_sees_its_active_level_at_start_or_at_close() -> None:
    pin("GPIO17").function = "input"
    pin("GPIO17").pull = "up"
    pin("GPIO17").clear_states()
    device = relay(active="low")
    device.close()
    assert relay(active="low").after_death() == GpioLine(CHIP, 17, True)
    assert pin("GPIO17").function == "output"
    assert pin("GPIO17").state is True
    gpio.open_header("mock", CHIP).release("GPIO17")


def test_a_relay_whose_safe_level_is_on_starts_and_ends_on() -> None:
    device = relay(safe="on")
    assert pin("GPIO17").state is True
    device.set(0.0)
    assert pin("GPIO17").state is False
    device.close()
    assert pin("GPIO17").state is True


@pytest.mark.fault("F17", bound="at once", outcome="of two devices of one daemon, the second is refused")
def test_a_pin_that_is_in_use_is_refused_until_its_user_closes() -> None:
    first = relay()
    with pytest.raises(DriverError, match="GPIO17: the pin is already in use by an open gpio-output"):
        relay()
    with pytest.raises(DriverError, match="already in use"):
        switch(pin="GPIO17")
    first.close()
    switch(pin="GPIO17").close()


@pytest.mark.fault("F25", bound="at once", outcome="refused, and nothing is driven")
def test_a_level_between_on_and_off_is_refused() -> None:
    device = relay()
    with pytest.raises(DriverError, match=r"found 0\.5"):
        device.set(0.5)
    device.close()
    with pytest.raises(ValidationError, match='write safe = "off"'):
        gpio_output.Settings.model_validate({"driver": "gpio-output", "pin": "GPIO17", "safe": 0.5})


@pytest.mark.parametrize(("name", "remedy"), [
    (17, 'write "GPIO17"'), ("17", 'write "GPIO17"'), ("BOARD11", 'write "GPIO17"'), ("GPIO28", "GPIO2 to GPIO27"),
    ("gpio17", "GPIO2 to GPIO27"), ("GPIO0", "reserved"), ("GPIO1", "reserved"), (None, "GPIO2 to GPIO27"), ("", "GPIO2"),
])
@pytest.mark.fault("F19", bound="when it is checked", outcome="GPIO0 and GPIO1 are refused")
def test_a_pin_has_one_way_to_be_written(name: object, remedy: str) -> None:
    with pytest.raises(ValidationError, match=remedy):
        gpio_output.Settings.model_validate({"driver": "gpio-output", "pin": name, "safe": "off"})


@pytest.mark.fault("F18", bound="at once", outcome="found by its label, whatever its number")
def test_the_headers_chip_is_found_by_its_label_whatever_its_number() -> None:
    chips = [Chip(0, "gpio-brcmstb@107d508500"), Chip(11, "pinctrl-rp1")]
    assert find_chip(chips) == Chip(11, "pinctrl-rp1")
    assert find_chip(chips, "gpio-brcmstb@107d508500").number == 0


@pytest.mark.fault("F18", bound="at once", outcome="told which chips there are; no other one is taken")
def test_without_the_headers_chip_there_is_no_fallback_but_an_answer() -> None:
    with pytest.raises(DriverError, match=r'found gpiochip0 INT33FF:00;.*factory = "mock" in \[gpio\]'):
        find_chip([Chip(0, "INT33FF:00")])
    with pytest.raises(DriverError, match=r'found none;.*factory = "mock" in \[gpio\]'):
        find_chip([])


def test_what_is_no_chip_is_not_listed(tmp_path: Path) -> None:
    (tmp_path / "gpiochip0").write_bytes(b"no device")
    assert gpio.list_chips(tmp_path) == []


def test_gpiozeros_own_factory_stays_unset_so_that_nothing_floats_at_exit() -> None:
    device = relay()
    from gpiozero import Device

    assert Device.pin_factory is None
    device.close()


LGPIO = '''
"""A library that behaves like lgpio: it prints each request to the kernel, and a claim that is repeated sets no level."""
SET_PULL_NONE, SET_PULL_UP, SET_PULL_DOWN = 128, 32, 64
SET_BIAS_DISABLE, SET_BIAS_PULL_UP, SET_BIAS_PULL_DOWN = 128, 32, 64
BOTH_EDGES, RISING_EDGE, FALLING_EDGE = 3, 1, 2
class error(Exception): pass
lines = {}
busy = {27}
def gpiochip_open(number): return 0
def gpiochip_close(handle): pass
def gpio_claim_input(handle, line, flags=0): print("input", line); lines[line] = "in"
def gpio_claim_output(handle, line, level=0, flags=0):
    if line in busy: raise error("GPIO busy")
    if lines.get(line) != "out": print("output", line, level)
    lines[line] = "out"
def gpio_free(handle, line): lines.pop(line, None)
def gpio_get_mode(handle, line): return 2 if lines.get(line) == "out" else 0
def gpio_write(handle, line, level): print("level", line, int(level))
def tx_pwm(handle, line, frequency, share): print("pulses", line, frequency, round(share, 6))
def gpio_read(handle, line): return 0
def gpio_get_line_info(handle, line): return (0, line, 1, "", "motion")
'''
PROGRAM = '''
from gpiozero.pins.pi import PiBoardInfo
from reflexd_drivers import gpio
from reflexd_drivers.actuators import gpio_output
header = gpio.lgpio_header(gpio.Chip(0, "pinctrl-bcm2711"))
header.factory._info = PiBoardInfo.from_revision(0xc03114)     # a Pi 4
def relay(**table):
    return gpio_output.GpioOutput(gpio_output.Settings(driver="gpio-output", **table), header)
device = relay(pin="GPIO17", safe="off", active="low")
device.set(1.0)
device.close()
device = relay(pin="GPIO17", safe="on", active="low")
device.close()
try:
    relay(pin="GPIO27", safe="off")
except OSError as error:
    print(error)
'''


@pytest.mark.fault("F17", bound="at once", outcome="refused, with the name of who has the line")
def test_lgpio_claims_an_output_once_directly_at_its_safe_level_and_never_floats_it(tmp_path: Path) -> None:
    (tmp_path / "lgpio.py").write_text(LGPIO)
    code = f"import sys; sys.path[:0] = [{str(tmp_path)!r}]\n{PROGRAM}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, cwd=tmp_path, check=False)
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "output 17 1", "level 17 1",      # claimed at the safe level
        "level 17 0", "level 17 1",       # on, and safe at close
        "level 17 0", "level 17 0",       # opened again, now safe is on; no input in between, nor at exit
        "GPIO27: the line is in use by motion; stop that program or choose another pin",
    ]


PULSES = PROGRAM.partition("def relay")[0] + """
from reflexd_drivers.pulses import SoftwarePulses
pulses = SoftwarePulses("GPIO18", "a test", 50, 1.0, header)
pulses.give(0.075)
pulses.close(1.0)
"""


def test_lgpio_gives_pulses_between_two_levels_that_stand(tmp_path: Path) -> None:
    (tmp_path / "lgpio.py").write_text(LGPIO)
    code = f"import sys; sys.path[:0] = [{str(tmp_path)!r}]\n{PULSES}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, cwd=tmp_path, check=False)
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "output 18 1", "level 18 1",      # claimed at its level, without pulses
        "pulses 18 50 7.5",               # not 7 %: a servo sees the difference
        "pulses 18 50 100.0", "pulses 18 0 0", "level 18 1",
    ]


def test_many_edges_between_two_reads_are_all_counted() -> None:
    device = switch()
    device.read(0)
    for _ in range(1000):
        pin("GPIO4").drive_high()
        pin("GPIO4").drive_low()
    while (reading := device.read(0.05)).rises < 1000:
        pass
    last = device.read(0.05)
    device.close()
    assert (reading.rises, reading.falls) == (last.rises, last.falls) == (1000, 1000)
    assert device.counters() == {"edges": 2000, "lost": 0, "storms": 1}


def sensed(**table: Any) -> gpio_output.GpioOutput:
    return relay(sense_pin="GPIO27", sense_within_ms=200, **table)


MS = 1_000_000


@pytest.mark.fault("F27", bound="sense_within_ms and 50 ms", outcome="every output safe for good, with the pin that saw it")
def test_a_contact_that_does_not_follow_in_time_is_told() -> None:
    device = sensed()
    device.check(0)
    device.set(1.0)
    device.check(0)
    pin("GPIO27").drive_high()
    device.check(100 * MS)
    device.check(900 * MS)
    pin("GPIO27").drive_low()
    device.check(1000 * MS)
    device.check(1199 * MS)
    with pytest.raises(DriverError, match="GPIO17: it is driven on, and GPIO27 has seen it off for more than 200 ms; check"):
        device.check(1200 * MS)
    device.safe()
    device.check(1300 * MS)
    device.close()
    switch(pin="GPIO27").close()


def test_a_contact_has_its_time_again_after_each_change() -> None:
    device = sensed(sense_active="low")
    assert pin("GPIO27").pull == "up", "a wire that is loose says off"
    device.set(1.0)
    device.check(0)
    device.set(0.0)
    device.check(150 * MS)
    device.set(1.0)
    device.check(300 * MS)
    device.check(499 * MS)
    with pytest.raises(DriverError, match="driven on"):
        device.check(500 * MS)
    device.close()
    device.check(900 * MS)


def test_a_sense_pin_is_another_pin_and_has_one_user() -> None:
    with pytest.raises(ValidationError, match="GPIO17 cannot see itself"):
        relay(sense_pin="GPIO17")
    taken = switch(pin="GPIO27")
    with pytest.raises(DriverError, match="GPIO27: the pin is already in use by an open gpio-input"):
        sensed()
    taken.close()
    relay().close()

"""Pulses by hardware and by software, and a servo that moves."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from reflexd_drivers import gpio
from reflexd_drivers.actuators import pwm, servo
from reflexd_drivers.base import DriverError, GpioLine, Moves, SysfsWrite

from .kernel_pwm import KernelPwm

CHIP = "test_pulses_out"
MOCK = {"factory": "mock", "chip": CHIP}


def fan(files: Any = None, **table: Any) -> pwm.Pwm:
    return pwm.connect(pwm.Settings.model_validate({"driver": "pwm", "pin": "GPIO18", "safe": "off", **MOCK, **table}), files)


def flap(files: Any = None, **table: Any) -> servo.Servo:
    wanted = {"driver": "servo", "pin": "GPIO18", "safe": "off", **MOCK, **table}
    return servo.connect(servo.Settings.model_validate(wanted), files)


def pin(name: str = "GPIO18") -> Any:
    return gpio.open_header("mock", CHIP).factory.pin(name)


def test_hardware_is_taken_where_the_pin_is_led_to_it_and_said(tmp_path: Path) -> None:
    kernel = KernelPwm(tmp_path, pins=(18, 19))
    device = fan(kernel, frequency_hz=25_000)
    assert device.about == "GPIO18 by hardware, pwmchip3/pwm0"
    assert kernel.log == ["export 0", "period 40000", "duty_cycle 0", "enable 1"]
    device.set(0.25)
    assert kernel.share(0) == 0.25
    assert device.after_death() == SysfsWrite(str(tmp_path / "sys/class/pwm/pwmchip3/pwm0/duty_cycle"), "0")
    device.close()
    assert kernel.share(0) == 0


def test_a_fan_that_is_safe_at_full_speed_is_told_so_after_a_death_too(tmp_path: Path) -> None:
    kernel = KernelPwm(tmp_path)
    device = fan(kernel, safe=0.6, method="hardware")
    assert kernel.share(0) == 0.6
    device.set(0.0)
    assert device.after_death().text == "600000"   # type: ignore[union-attr]
    device.close()
    assert kernel.share(0) == 0.6


def test_a_channel_that_another_program_left_upside_down_is_safe_all_the_same(tmp_path: Path) -> None:
    kernel = KernelPwm(tmp_path)
    fan(kernel).close()
    channel = "sys/class/pwm/pwmchip3/pwm0"
    for name, text in (("enable", "0"), ("polarity", "inversed"), ("enable", "1")):
        kernel.write(f"{channel}/{name}", text)
    assert kernel.share(0) == 1.0
    device = fan(kernel)
    assert kernel.share(0) == 0.0
    device.set(0.25)
    assert kernel.share(0) == 0.25
    device.close()
    assert kernel.share(0) == 0.0


def test_active_low_is_high_while_off(tmp_path: Path) -> None:
    kernel = KernelPwm(tmp_path)
    device = fan(kernel, active="low")
    assert kernel.share(0) == 1.0
    device.set(0.75)
    assert kernel.share(0) == 0.25
    device.close()
    assert kernel.share(0) == 1.0


@pytest.mark.parametrize(("before", "after"), [(1000, 50), (50, 1000)])
def test_a_channel_that_is_at_work_gets_another_period_without_a_pulse_that_does_not_fit(
        tmp_path: Path, before: float, after: float) -> None:
    kernel = KernelPwm(tmp_path)
    device = fan(kernel, frequency_hz=before, safe="on")
    device.close()
    device = fan(kernel, frequency_hz=after, safe="on")
    assert kernel.share(0) == 1.0
    device.close()


def test_on_a_pi_5_each_pin_has_a_channel_of_its_own(tmp_path: Path) -> None:
    kernel = KernelPwm(tmp_path, device="1f00098000.pwm", channels=4)
    device = fan(kernel, pin="GPIO19")
    device.set(0.5)
    assert device.about == "GPIO19 by hardware, pwmchip3/pwm3"
    assert kernel.share(3) == 0.5
    device.close()


def test_a_pin_that_the_overlay_does_not_lead_to_the_hardware_gets_none_of_its_pulses(tmp_path: Path) -> None:
    kernel = KernelPwm(tmp_path, pins=(18,))
    with pytest.raises(DriverError, match="GPIO12: the hardware's pulses are led to GPIO18; add dtoverlay=pwm"):
        fan(kernel, pin="GPIO12", method="hardware")
    device = fan(kernel, pin="GPIO12")
    assert device.about == "GPIO12 by software, since the hardware's pulses are led to GPIO18"
    device.close()


@pytest.mark.parametrize(("name", "what"), [
    ("GPIO17", "no hardware makes pulses at this pin"), ("GPIO18", "the kernel shows no hardware")])
def test_without_hardware_it_is_said_why(name: str, what: str) -> None:
    with pytest.raises(DriverError, match=f"{name}: {what}"):
        fan(pin=name, method="hardware")
    device = fan(pin=name)
    assert device.about.startswith(f"{name} by software, since {what}")
    device.close()


def test_files_that_udev_gives_to_the_group_a_moment_later_are_waited_for(tmp_path: Path) -> None:
    kernel = KernelPwm(tmp_path)
    kernel.refuses = 5
    fan(kernel).close()
    kernel.refuses = 10_000
    with pytest.raises(DriverError, match="may not be written: Permission denied; use the drop-in"):
        fan(kernel)
    kernel.refuses = 0
    fan(kernel).close()


@pytest.mark.fault("F17", bound="at once", outcome="refused, with what to stop")
def test_a_channel_has_one_process(tmp_path: Path) -> None:
    kernel = KernelPwm(tmp_path)
    fan(kernel).close()
    duty = tmp_path / "sys/class/pwm/pwmchip3/pwm0/duty_cycle"
    code = f"import fcntl, sys; f = open({str(duty)!r}); fcntl.flock(f, fcntl.LOCK_EX); print(flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(DriverError, match="GPIO18: another process gives its pulses; stop that program"):
            fan(kernel)
        other.communicate(b"")
    fan(kernel).close()


@pytest.mark.fault("F26", bound="the write", outcome="told as a failed write, which makes every output safe for good")
def test_a_channel_that_is_gone_is_told(tmp_path: Path) -> None:
    kernel = KernelPwm(tmp_path)
    device = fan(kernel)
    (tmp_path / "sys/class/pwm/pwmchip3/pwm0/duty_cycle").rename(tmp_path / "gone")
    with pytest.raises(DriverError, match="GPIO18: the kernel refused the pulses: No such device"):
        device.set(0.5)
    with pytest.raises(DriverError):
        device.close()
    device.close()


def test_software_gives_pulses_and_leaves_a_level() -> None:
    device = fan(method="software", frequency_hz=200, active="low")
    assert device.about == 'GPIO18 by software, since method = "software"'
    assert (pin().function, pin().state, pin().share) == ("output", True, None), "safe from the first moment"
    device.set(0.3)
    assert (pin().frequency_hz, pin().share) == (200, 0.7)
    assert device.after_death() == GpioLine(CHIP, 18, True)
    device.close()
    assert (pin().state, pin().share) == (True, None)


def test_what_software_cannot_do_is_refused() -> None:
    with pytest.raises(ValidationError, match=r'found 0\.4; write safe = "off", or method'):
        fan(safe=0.4)
    with pytest.raises(DriverError, match="software makes 10000 pulses a second at most; lower frequency_hz"):
        fan(frequency_hz=25_000)
    with pytest.raises(ValidationError, match="nothing holds the safe angle"):
        flap(method="software")


@pytest.mark.fault("F25", bound="at once", outcome="refused, and nothing is driven")
@pytest.mark.parametrize("level", [-0.01, 1.01, float("nan"), float("inf")])
def test_a_level_out_of_range_is_refused(tmp_path: Path, level: float) -> None:
    for number, connect in enumerate((fan, flap)):
        kernel = KernelPwm(tmp_path / str(number))
        device: Any = connect(kernel)
        before = list(kernel.log)
        with pytest.raises(DriverError, match="a level is a number from 0 to 1"):
            device.set(level)
        assert kernel.log == before
        device.close()


def arrive(device: servo.Servo, kernel: KernelPwm) -> list[float]:
    """Let it move to its end, on the worker's clock; gives the angles on the way, of 0 to 90 degrees."""
    passed = []
    while device.advance() is not None:
        passed.append((kernel.share(0) - 0.05) / 0.05 * 90)
    return passed


def test_a_servo_without_a_speed_goes_at_once(tmp_path: Path) -> None:
    kernel = KernelPwm(tmp_path)
    device = flap(kernel)
    assert isinstance(device, Moves)
    assert kernel.share(0) == pytest.approx(0.05), "1 ms of 20"
    device.set(0.5)
    assert arrive(device, kernel) == []
    assert kernel.share(0) == pytest.approx(0.075)
    device.close()


def test_a_servo_keeps_its_speed_and_never_goes_beyond(tmp_path: Path) -> None:
    kernel = KernelPwm(tmp_path)
    device = flap(kernel, slew_deg_per_s=900)
    device.set(1.0)
    steps = 0
    while (due_s := device.advance()) is not None:
        steps += 1
        assert due_s == 0.02
        assert steps < 1_000_000
    assert steps >= 3, "90 degrees at 900 a second, no more than 40 ms of it in a step"
    assert kernel.share(0) == pytest.approx(0.10)
    assert all(50_000 <= int(line.split()[1]) <= 2_000_000 for line in kernel.log if line.startswith("duty"))
    device.close()


def test_a_servo_turns_round_in_the_middle_of_its_way(tmp_path: Path) -> None:
    kernel = KernelPwm(tmp_path)
    device = flap(kernel, slew_deg_per_s=90, angles=[0, 180], pulse_ms=[2.0, 1.0])
    assert kernel.share(0) == pytest.approx(0.10), "a pulse may be shorter at the far end"
    device.set(1.0)
    device.advance()
    far = kernel.share(0)
    device.safe()
    device.advance()
    assert 0.10 >= kernel.share(0) >= far
    device.close()
    assert kernel.share(0) == pytest.approx(0.10), "at once when it is closed"
    assert device.advance() is None


def test_a_servo_by_software_has_to_be_asked_for() -> None:
    with pytest.raises(DriverError, match="the kernel shows no hardware for pulses"):
        flap()
    device = flap(accept_unguarded=True)
    assert device.about.startswith("GPIO18 by software")
    assert pin().share == pytest.approx(0.05)
    assert device.after_death() == GpioLine(CHIP, 18, False), "no pulses"
    device.close()


@pytest.mark.parametrize("table", [{"angles": [90, 90]}, {"pulse_ms": [1, 1]}, {"pulse_ms": [0.1, 2]}, {"angles": [0, 900]},
                                   {"slew_deg_per_s": 0}, {"slew_deg_per_s": 1.4}, {"frequency_hz": 330, "pulse_ms": [1, 3]}])
def test_a_servo_that_would_break_is_refused(table: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        servo.Settings.model_validate({"driver": "servo", "pin": "GPIO18", "safe": "off", **table})

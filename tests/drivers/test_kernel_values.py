"""Values that the kernel shows as files, on trees like its own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from reflexd_drivers.base import DriverError, SilentError
from reflexd_drivers.sensors import cpu_temperature, hwmon, iio, one_wire
from tests.stopwatch import Stopwatch


def tree(root: Path, folder: str, **files: str) -> Path:
    """Write files as the kernel shows them."""
    path = root / folder
    path.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (path / name).write_text(text + "\n")
    return path


def chip(root: Path, **files: str) -> Path:
    return tree(root, "sys/bus/iio/devices/iio:device1", name="mcp3424", **files)


def read(module: Any, root: Path, **table: Any) -> Any:
    names = {iio: "iio", hwmon: "hwmon", cpu_temperature: "cpu-temperature", one_wire: "one-wire"}
    device = module.connect(module.Settings.model_validate({"driver": names[module], **table}), root)
    try:
        return device.read(1).value
    finally:
        device.close()


def test_iio_puts_raw_offset_and_scale_together_and_gives_volts(tmp_path: Path) -> None:
    tree(tmp_path, "sys/bus/iio/devices/iio:device0", name="other", in_voltage0_raw="1")
    chip(tmp_path, in_voltage0_raw="1200", in_voltage0_scale="0.5", in_voltage_offset="-200")
    assert read(iio, tmp_path, device="mcp3424", channel="in_voltage0") == pytest.approx(0.5)
    assert read(iio, tmp_path, device="mcp3424", channel="in_voltage0", scale=10, offset=1) == pytest.approx(6.0)


@pytest.mark.parametrize(("channel", "files", "value"), [
    ("in_temp", {"in_temp_input": "21500"}, 21.5),
    ("in_pressure", {"in_pressure_input": "101.325"}, 101_325),
    ("in_humidityrelative", {"in_humidityrelative_input": "45000"}, 45),
    ("in_accel_x", {"in_accel_x_raw": "981", "in_accel_scale": "0.01"}, 9.81),
    ("in_illuminance", {"in_illuminance_input": "320"}, 320),
    ("in_voltage0-voltage1", {"in_voltage0-voltage1_raw": "-100", "in_voltage-voltage_scale": "2"}, -0.2),
])
def test_iio_comes_to_si_units(tmp_path: Path, channel: str, files: dict[str, str], value: float) -> None:
    chip(tmp_path, **files)
    assert read(iio, tmp_path, device="mcp3424", channel=channel) == pytest.approx(value)


def test_iio_reads_several_channels_of_a_moment_and_each_has_to_be_there(tmp_path: Path) -> None:
    chip(tmp_path, in_accel_x_raw="981", in_accel_y_raw="-100", in_accel_scale="0.01")
    table = {"driver": "iio", "device": "mcp3424", "channel": "in_accel_x", "more": ["in_accel_y"]}
    settings = iio.Settings.model_validate(table)
    assert settings.channels == ("in_accel_x", "in_accel_y")
    device = iio.connect(settings, tmp_path)
    reading = device.read(1)
    device.close()
    assert reading.values == pytest.approx((9.81, -1.0))
    assert reading.value == reading.values[0]
    with pytest.raises(DriverError, match="there is no channel in_accel_z; found in_accel_x, in_accel_y"):
        read(iio, tmp_path, device="mcp3424", channel="in_accel_x", more=["in_accel_z"])


def test_iio_names_the_devices_and_channels_that_are_there(tmp_path: Path) -> None:
    chip(tmp_path, in_voltage0_raw="1", in_voltage1_raw="1")
    with pytest.raises(DriverError, match="iio: there is no device called bme280; found mcp3424; write one of them"):
        read(iio, tmp_path, device="bme280", channel="in_temp")
    with pytest.raises(DriverError, match="there is no channel in_temp; found in_voltage0, in_voltage1; write"):
        read(iio, tmp_path, device="mcp3424", channel="in_temp")
    with pytest.raises(DriverError, match="found none"):
        read(iio, tmp_path / "else", device="mcp3424", channel="in_temp")


@pytest.mark.fault("F37", bound="one look", outcome="what is no number, not finite or out of range is no value")
@pytest.mark.parametrize(("text", "error"), [
    ("nan", "says nan, which is no number"), ("inf", "says inf"), ("-1e400", "says -inf"),
    ("9e99", r"outside of range = \[-40, 85\]"),
    ("", "a number was expected, found nothing"), ("busy", 'found "busy"'), ("1 2", 'found "1 2"'), ("\x00\xff", "a number was"),
    ("1" * 10_000, "says inf|outside of range"), ("85001", "outside of range"),
])
def test_what_cannot_be_true_is_no_value(tmp_path: Path, text: str, error: str) -> None:
    file = tree(tmp_path, "sys/class/thermal/thermal_zone0", type="cpu-thermal", temp="40000") / "temp"
    device = cpu_temperature.connect(cpu_temperature.Settings(driver="cpu-temperature", range=(-40, 85), every_ms=100), tmp_path)
    assert device.read(1).value == pytest.approx(40)
    file.write_text(text)
    with pytest.raises(DriverError, match=error):
        device.read(1)
    file.write_text("41000")
    assert device.read(1).value == pytest.approx(41), "it goes on"
    device.close()


def test_a_file_that_never_says_anything_does_not_block(tmp_path: Path) -> None:
    folder = tree(tmp_path, "sys/class/hwmon/hwmon0", name="stuck")
    os.mkfifo(folder / "temp1_input")
    with Stopwatch() as took, pytest.raises(DriverError, match="a number was expected, found nothing"):
        read(hwmon, tmp_path, device="stuck", file="temp1_input")
    assert took.seconds < 1


def test_a_device_that_is_gone_or_cannot_be_read_is_told(tmp_path: Path) -> None:
    folder = tree(tmp_path, "sys/class/hwmon/hwmon0", name="pump", fan1_input="1200")
    device = hwmon.connect(hwmon.Settings(driver="hwmon", device="pump", file="fan1_input", every_ms=10), tmp_path)
    assert device.read(1).value == 1200
    (folder / "fan1_input").unlink()
    with pytest.raises(DriverError, match="there is no such file; plug the device in"):
        device.read(1)
    (folder / "fan1_input").mkdir()
    with pytest.raises(DriverError, match="the kernel cannot read the device: Is a directory"):
        device.read(1)
    device.close()


@pytest.mark.parametrize(("file", "text", "value"), [
    ("temp1_input", "48312", 48.312), ("in0_input", "5020", 5.02), ("power1_average", "2500000", 2.5),
    ("fan1_input", "900", 900), ("in0_lcrit_alarm", "1", 1), ("pwm1", "128", 128),
])
def test_hwmon_comes_to_si_units(tmp_path: Path, file: str, text: str, value: float) -> None:
    tree(tmp_path, "sys/class/hwmon/hwmon3", name="rpi_volt", **{file: text})
    assert read(hwmon, tmp_path, device="rpi_volt", file=file) == pytest.approx(value)


@pytest.mark.parametrize("file", ["../../../etc/passwd", "/etc/passwd", "temp1_input\n", "name/x", ""])
def test_a_file_is_named_without_a_way_to_others(file: str) -> None:
    with pytest.raises(ValidationError):
        hwmon.Settings.model_validate({"driver": "hwmon", "device": "x", "file": file})


def thermometer(root: Path, text: str, **table: Any) -> Any:
    tree(root, "sys/bus/w1/devices/28-0316a2791aff", w1_slave=text)
    return read(one_wire, root, id="28-0316a2791aff", **table)


GOOD = "72 01 4b 46 7f ff 0e 10 57 : crc=57 YES\n72 01 4b 46 7f ff 0e 10 57 t={}"


def test_one_wire_gives_degrees_below_zero_too(tmp_path: Path) -> None:
    assert thermometer(tmp_path, GOOD.format(23125)) == pytest.approx(23.125)
    assert thermometer(tmp_path, GOOD.format(-1062)) == pytest.approx(-1.062)


@pytest.mark.parametrize(("text", "error"), [
    (GOOD.format(23125).replace("YES", "NO"), "the sum of what came is wrong"),
    (GOOD.format(85000), "the chip says 85 °C, as after it lost its power"),
    ("00 00 00 00 00 00 00 00 00 : crc=00 YES\n00 00 00 00 00 00 00 00 00 t=0", "the bus says nothing but zeros"),
    ("", "the thermometer did not answer"), ("rubbish", "did not answer"), (GOOD.format("x"), "did not answer"),
])
def test_one_wire_refuses_a_wrong_sum_the_value_of_power_up_and_silence(tmp_path: Path, text: str, error: str) -> None:
    with pytest.raises(SilentError, match=error):
        thermometer(tmp_path, text)


def test_85_degrees_may_be_allowed(tmp_path: Path) -> None:
    assert thermometer(tmp_path, GOOD.format(85000), power_on_value=True) == 85


def test_one_wire_names_the_thermometers_on_the_bus(tmp_path: Path) -> None:
    tree(tmp_path, "sys/bus/w1/devices/28-0316a2791aff", w1_slave="")
    tree(tmp_path, "sys/bus/w1/devices/00-400000000000")
    with pytest.raises(DriverError, match="no chip 28-000000000001; found 28-0316a2791aff; check its wire, and dtoverlay"):
        read(one_wire, tmp_path, id="28-000000000001")


@pytest.mark.parametrize("table", [{"range": (5, 5)}, {"range": (9, 1)}, {"scale": float("nan")}, {"every_ms": 0}, {"zone": ""}])
def test_settings_that_make_no_sense_are_refused(table: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        cpu_temperature.Settings.model_validate({"driver": "cpu-temperature", **table})


@pytest.mark.parametrize(("module", "table"), [
    (cpu_temperature, {"every_ms": 1000}), (iio, {"device": "x", "channel": "in_temp", "every_ms": 5000}),
    (one_wire, {"id": "28-0316a2791aff", "every_ms": 20_000}),
])
def test_a_question_less_often_than_max_age_is_refused(module: Any, table: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="every_ms is not less than max_age_ms"):
        module.Settings.model_validate({"driver": "x", **table})

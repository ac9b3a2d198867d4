"""Analogue values, from the bits on the bus to units."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from reflexd_drivers.base import DriverError, SilentError
from reflexd_drivers.sensors import mcp3xxx

from .adc import Mcp


def sensor(converter: Mcp, **table: Any) -> Any:
    wanted = {"driver": "mcp3xxx", "type": "MCP3008", "factory": "mock", "chip": converter.chip, "every_ms": 2, **table}
    return mcp3xxx.connect(mcp3xxx.Settings.model_validate(wanted))


@pytest.mark.parametrize(("code", "volts"), [(0, 0.0), (512, 1.65), (1023, 3.3 * 1023 / 1024)])
def test_a_code_is_a_share_of_the_reference(code: int, volts: float) -> None:
    converter = Mcp()
    converter.codes[3] = code
    device = sensor(converter, channel=3)
    assert device.read(1).value == pytest.approx(volts)
    device.close()
    assert converter.asked == [(3, True)]


def test_volts_come_to_units_and_samples_to_their_mean() -> None:
    converter = Mcp()
    converter.codes[0] = 256
    device = sensor(converter, reference_v=5, scale=100, offset=-50, samples=4)
    assert device.read(1).value == pytest.approx(75.0)
    device.close()
    assert len(converter.asked) == 4


def test_two_channels_of_one_converter_are_read_side_by_side() -> None:
    converter = Mcp()
    converter.codes[:2] = [100, 200]
    first, second = sensor(converter, channel=0), sensor(converter, channel=1)
    values = [first.read(1).value, second.read(1).value]
    first.close()
    assert second.read(1).value == values[1] == pytest.approx(2 * values[0])
    second.close()
    assert converter.opened == 0


def test_a_converter_with_a_sign_measures_below_zero() -> None:
    converter = Mcp(bits=12)
    converter.codes[0] = -1024
    device = sensor(converter, type="MCP3304", differential=True)
    assert device.read(1).value == pytest.approx(-3.3 / 4)
    device.close()
    assert converter.asked == [(0, False)]


@pytest.mark.fault("F37", bound="one question", outcome="out of range is no value: the sensor is degraded until it is back")
def test_a_value_out_of_range_is_no_value() -> None:
    converter = Mcp()
    device = sensor(converter, range=[0.3, 3.0])
    with pytest.raises(SilentError, match=r"MCP3008 channel 0: a value is outside of range = \[0.3, 3\]; check the device"):
        device.read(1)
    converter.codes[0] = 512
    assert device.read(1).value == pytest.approx(1.65)
    device.close()


def test_without_the_kernels_spi_there_is_an_answer_and_no_other_way(tmp_path: Path) -> None:
    with pytest.raises(DriverError, match=r"spidev0\.1: the kernel shows no SPI; add dtparam=spi=on"):
        mcp3xxx._look_for(tmp_path / "spidev0.1")
    (tmp_path / "spidev0.0").mkdir()
    with pytest.raises(DriverError, match=r"it cannot be opened: Is a directory; use the drop-in spi\.conf"):
        mcp3xxx._look_for(tmp_path / "spidev0.0")


@pytest.mark.parametrize(("table", "message"), [
    ({"type": "MCP3002", "channel": 2}, "a MCP3002 has channels 0 to 1; found 2; choose one of them"),
    ({"type": "MCP3001", "channel": 1}, "has channels 0 to 0"), ({"type": "MCP9808"}, "Input should be"),
    ({"device": 2}, "Input should be 0 or 1"), ({"reference_v": 0}, "greater than 0"),
])
def test_settings_that_make_no_sense_are_refused(table: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        mcp3xxx.Settings.model_validate({"driver": "mcp3xxx", "type": "MCP3008", **table})

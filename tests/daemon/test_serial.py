"""A serial sensor in the whole daemon: the common recovery brings it back, and its outputs are safe meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.daemon.devices import Device
from tests.daemon.test_faults import within
from tests.drivers.terminals import Terminal


@pytest.fixture
def device(tmp_path: Path) -> Iterator[Terminal]:
    made = Terminal(tmp_path / "tty")
    yield made
    made.close()


@pytest.mark.fault("F31", bound="1 s", outcome="degraded, its output safe; back by itself")
def test_f31_an_unplugged_sensor_makes_its_output_safe_and_acts_again_once_it_is_back(
        start: Callable[[dict[str, Any]], Any], devices: dict[str, Device], device: Terminal) -> None:
    device.keep_saying(b"T=71.5\n", every_s=0.02)
    daemon = start({
        "sensor": {"boiler": {"driver": "serial-lines", "port": str(device.port), "pattern": r"T=([\d.]+)"}},
        "actuator": {"fan": {"driver": "bad-actuator", "key": "fan", "safe": "off"}},
        "rule": [{"name": "cool", "when": [{"sensor": "boiler", "above": 70}],
                  "then": [{"actuator": "fan", "set": "on", "follow": True}]}],
    })
    within(5, lambda: devices["fan"].level == 1.0)
    for _ in range(3):
        device.unplug()
        within(1, lambda: devices["fan"].level == 0.0)
        assert daemon.status()["sensors"]["boiler"]["state"] == "degraded"
        device.plug_in()
        device.keep_saying(b"T=71.5\n", every_s=0.02)
        within(10, lambda: devices["fan"].level == 1.0)
    assert daemon.status()["sensors"]["boiler"]["failures"] >= 3
    daemon.stop()
    assert "the port was unplugged or failed" in daemon.log()


@pytest.mark.fault("F38", bound="max_age_ms", outcome="degraded, its output safe")
def test_f38_a_silent_sensor_makes_its_output_safe(
        start: Callable[[dict[str, Any]], Any], devices: dict[str, Device], device: Terminal) -> None:
    device.keep_saying(b"1\n", every_s=0.02)
    daemon = start({
        "sensor": {"door": {"driver": "serial-lines", "port": str(device.port), "value": "boolean", "max_age_ms": 300}},
        "actuator": {"lamp": {"driver": "bad-actuator", "key": "lamp", "safe": "off"}},
        "rule": [{"name": "shine", "when": [{"sensor": "door", "is": True}],
                  "then": [{"actuator": "lamp", "set": "on", "follow": True}]}],
    })
    within(5, lambda: devices["lamp"].level == 1.0)
    device.go_quiet()
    within(2, lambda: devices["lamp"].level == 0.0)
    assert "no line came within 300 ms" in daemon.status()["sensors"]["door"]["why"]

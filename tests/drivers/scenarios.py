"""How each driver is opened without hardware. One entry per registered driver."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from reflexd_drivers import gpio, registry
from reflexd_drivers.cameras import usb as usb_driver
from reflexd_drivers.contract import Scenario

from . import fake_picamera2
from .fake_v4l2 import FakeCamera
from .terminals import Terminal


def replay(folder: Path) -> Scenario:
    np.savez(folder / "frames.npz", x=np.zeros((100, 4, 6, 3), np.uint8))
    table = {"driver": "replay", "path": folder / "frames.npz", "rate_hz": 20}
    return Scenario(table, {"path": folder / "nothing.npz"})


class Usb(Scenario):
    """A usb camera on a device that behaves; no camera is needed to test how it is closed."""

    camera = FakeCamera(rate_hz=50)

    def connect(self, kind: registry.Kind, table: dict[str, Any]) -> Any:
        settings = usb_driver.Settings.model_validate(table)
        return usb_driver.connect(settings) if table == self.absent else usb_driver.connect(settings, self.camera.device)

    def go_quiet(self) -> None:
        self.camera.silent = True

    def vanish(self) -> None:
        self.camera.plugged = False


def usb(_folder: Path) -> Scenario:
    case = Usb({"driver": "usb", "device": "/dev/video0"}, {"device": "/dev/no-such-camera"})
    case.camera = FakeCamera(rate_hz=50)
    return case


class Libcamera(Scenario):
    """A camera behind libcamera, with stand-ins of its Python libraries in the driver's own process."""

    exclusive = True

    def __init__(self, folder: Path) -> None:
        super().__init__({"driver": "picamera2", "id": "/base/i2c@1/imx708@1a", "size_px": (64, 48), "model_px": (32, 24)},
                         {"id": "/base/i2c@2/imx219@10"})
        self._world = fake_picamera2.World(folder)
        self._world.plug(self.table["id"])

    def go_quiet(self) -> None:
        self._world.plug(self.table["id"], silent=True)

    def vanish(self) -> None:
        self._world.unplug(self.table["id"])

    def end(self) -> None:
        self._world.end()


def picamera2(folder: Path) -> Scenario:
    return Libcamera(folder)


def scripted(folder: Path) -> Scenario:
    (folder / "timeline.csv").write_text("0,false\n100,true\n")
    return Scenario({"driver": "scripted", "path": folder / "timeline.csv"}, {"path": folder / "nothing.csv"})


def gpio_input(_folder: Path) -> Scenario:
    table = {"driver": "gpio-input", "pin": "GPIO4", "pull": "down", "factory": "mock", "chip": "contract"}
    return Scenario(table, {"factory": "auto", "chip": "no-such-chip"})


def gpio_output(_folder: Path) -> Scenario:
    table = {"driver": "gpio-output", "pin": "GPIO17", "safe": "off", "factory": "mock", "chip": "contract", "active": "low"}
    pin = gpio.open_header("mock", "contract").factory.pin("GPIO17")

    def level() -> float:
        assert pin.function == "output", "the line is driven, also after close"
        return float(not pin.state)   # active = "low"

    return Scenario(table, {"factory": "auto", "chip": "no-such-chip"}, level)


def recorder(folder: Path) -> Scenario:
    path = folder / "record.jsonl"
    table = {"driver": "recorder", "path": path, "safe": "off"}
    return Scenario(table, {"path": folder / "missing" / "record.jsonl"},
                    lambda: json.loads(path.read_text().splitlines()[-1])["level"])


class Serial(Scenario):
    """A driver on a serial port whose device says the same every few milliseconds."""

    exclusive = True

    def __init__(self, table: dict[str, Any], folder: Path, says: bytes) -> None:
        super().__init__({**table, "port": str(folder / "tty")}, {"port": str(folder / "nothing")})
        self._terminal = Terminal(folder / "tty")
        self._terminal.keep_saying(says, every_s=0.005)

    def go_quiet(self) -> None:
        self._terminal.go_quiet()

    def vanish(self) -> None:
        self._terminal.unplug()

    def end(self) -> None:
        self._terminal.close()


def serial_lines(folder: Path) -> Scenario:
    return Serial({"driver": "serial-lines"}, folder, b"21.5\r\n")


SCENARIOS: dict[str, Callable[[Path], Scenario]] = {
    "gpio-input": gpio_input,
    "gpio-output": gpio_output,
    "picamera2": picamera2,
    "recorder": recorder,
    "replay": replay,
    "scripted": scripted,
    "serial-lines": serial_lines,
    "usb": usb,
}

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
from .adc import Mcp
from .echo import Module
from .fake_v4l2 import FakeCamera
from .kernel_pwm import KernelPwm
from .terminals import Board, Terminal


def replay(folder: Path) -> Scenario:
    np.savez(folder / "frames.npz", x=np.zeros((100, 4, 6, 3), np.uint8))
    table = {"driver": "replay", "path": folder / "frames.npz", "rate_hz": 20}
    return Scenario(table, {"path": folder / "nothing.npz"})


def pattern(_folder: Path) -> Scenario:
    return Scenario({"driver": "pattern", "size_px": (16, 8), "rate_hz": 20}, None)


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
    (folder / "timeline.csv").write_text("0,1,2\n100,3,4\n")
    table = {"driver": "scripted", "path": folder / "timeline.csv", "columns": ("x", "y")}
    return Scenario(table, {"path": folder / "nothing.csv"})


def gpio_input(_folder: Path) -> Scenario:
    table = {"driver": "gpio-input", "pin": "GPIO4", "pull": "down", "factory": "mock", "chip": "contract"}
    return Scenario(table, {"factory": "auto", "chip": "no-such-chip"})


def pulse_counter(_folder: Path) -> Scenario:
    table = {"driver": "pulse-counter", "pin": "GPIO6", "pull": "up", "factory": "mock", "chip": "contract"}
    return Scenario(table, {"factory": "auto", "chip": "no-such-chip"})


class Slow(Scenario):
    """A sensor that is asked at most every 60 ms."""

    repeats_s = 0.2


def distance(_folder: Path) -> Scenario:
    module = Module(metres=1.0)
    table = {"driver": "distance", "trigger_pin": "GPIO20", "echo_pin": "GPIO21", "samples": 1,
             "factory": "mock", "chip": module.chip}
    return Slow(table, {"factory": "auto", "chip": "no-such-chip"})


class KernelFile(Scenario):
    """A driver on a file of the kernel, below another root."""

    def __init__(self, table: dict[str, Any], absent: dict[str, Any], file: Path, says: str, **more: str) -> None:
        super().__init__(table, absent)
        self._root = next(parent for parent in file.parents if parent.name == "sys").parent
        self._file = file
        file.parent.mkdir(parents=True)
        file.write_text(says)
        for name, text in more.items():
            (file.parent / name).write_text(text)

    def connect(self, kind: registry.Kind, table: dict[str, Any]) -> Any:
        module: Any = self.driver(kind)
        return module.connect(module.Settings.model_validate(table), self._root)

    def vanish(self) -> None:
        self._file.unlink()


class SlowFile(KernelFile):
    """A chip that is asked once a second at most."""

    repeats_s = 1.2


def cpu_temperature(folder: Path) -> Scenario:
    return KernelFile({"driver": "cpu-temperature", "every_ms": 20}, {"zone": "soup"},
                      folder / "sys/class/thermal/thermal_zone0/temp", "48312\n", type="cpu-thermal\n")


def hwmon(folder: Path) -> Scenario:
    return KernelFile({"driver": "hwmon", "device": "rpi_volt", "file": "in0_lcrit_alarm", "every_ms": 10}, {"device": "nothing"},
                      folder / "sys/class/hwmon/hwmon1/in0_lcrit_alarm", "0\n", name="rpi_volt\n")


def iio(folder: Path) -> Scenario:
    table = {"driver": "iio", "device": "bme280", "channel": "in_temp", "more": ("in_pressure",), "every_ms": 10}
    return KernelFile(table, {"channel": "in_light"}, folder / "sys/bus/iio/devices/iio:device0/in_temp_input", "21500\n",
                      name="bme280\n", in_pressure_input="101.3\n")


def one_wire(folder: Path) -> Scenario:
    return SlowFile({"driver": "one-wire", "id": "28-0316a2791aff", "every_ms": 1000}, {"id": "28-000000000000"},
                    folder / "sys/bus/w1/devices/28-0316a2791aff/w1_slave", "72 01 : crc=d7 YES\n72 01 t=23125\n")


def mcp3xxx(_folder: Path) -> Scenario:
    table = {"driver": "mcp3xxx", "type": "MCP3008", "every_ms": 10, "factory": "mock", "chip": Mcp().chip}
    return Scenario(table, {"factory": "auto", "chip": "no-such-chip"})


def gpio_output(_folder: Path) -> Scenario:
    table = {"driver": "gpio-output", "pin": "GPIO17", "safe": "off", "factory": "mock", "chip": "contract", "active": "low"}
    pin = gpio.open_header("mock", "contract").factory.pin("GPIO17")

    def level() -> float:
        assert pin.function == "output", "the line is driven, also after close"
        return float(not pin.state)   # active = "low"

    return Scenario(table, {"factory": "auto", "chip": "no-such-chip"}, level)


class OnPwm(Scenario):
    """An actuator on the kernel's files for pulses."""

    kernel: KernelPwm

    def connect(self, kind: registry.Kind, table: dict[str, Any]) -> Any:
        module: Any = self.driver(kind)
        return module.connect(module.Settings.model_validate(table), self.kernel)


def on_pwm(folder: Path, table: dict[str, Any], least: float, most: float) -> Scenario:
    """Make a Pi 4 with its two channels; `least` and `most` are the shares of level 0 and 1."""
    kernel = KernelPwm(folder)
    case = OnPwm({"pin": "GPIO18", "safe": "off", "factory": "mock", "chip": "contract", **table}, {"pin": "GPIO17"},
                 lambda: (kernel.share(0) - least) / (most - least))
    case.kernel = kernel
    return case


def pwm(folder: Path) -> Scenario:
    return on_pwm(folder, {"driver": "pwm", "method": "hardware"}, 0.0, 1.0)


def servo(folder: Path) -> Scenario:
    return on_pwm(folder, {"driver": "servo", "slew_deg_per_s": 900}, 0.05, 0.10)


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
    return Serial({"driver": "serial-lines", "columns": ("x", "y")}, folder, b"21.5,3\r\n")


def serial_frames(folder: Path) -> Scenario:
    table = {"driver": "serial-frames", "start": "ff", "length": 4, "checksum": {"kind": "sum8", "at": 3},
             "value": {"at": 1, "type": "u16be"}, "more": ({"at": 2, "type": "u8"},)}
    return Serial(table, folder, bytes([0xFF, 0x01, 0x02, 0x02]))


def nmea(folder: Path) -> Scenario:
    return Serial({"driver": "nmea", "sentence": "MTW", "field": "temperature"}, folder, b"$YXMTW,17.75,C*26\r\n")


class Meter(Serial):
    """A device that answers each question about register 0 with 215."""

    exclusive = False        # the sensors of one line share it

    def __init__(self, folder: Path) -> None:
        table = {"driver": "modbus", "parity": "none", "unit": 1, "register": 0, "every_ms": 20, "timeout_ms": 50}
        super().__init__(table, folder, b"")
        self._terminal.keep_answering(lambda asked: bytes.fromhex("01030200d7f81a"))


def modbus(folder: Path) -> Scenario:
    return Meter(folder)


class RelayBoard(Scenario):
    """A relay board that answers each command."""

    exclusive = True

    def __init__(self, folder: Path) -> None:
        table = {"driver": "serial-command", "safe": "off", "commands": {"on": "ON\r\n", "off": "OFF\r\n"}, "answer": "OK"}
        self._board = Board(folder / "tty")
        super().__init__({**table, "port": str(folder / "tty")}, {"port": str(folder / "nothing")}, lambda: self._board.level)

    def vanish(self) -> None:
        self._board.unplug()

    def end(self) -> None:
        self._board.close()


SCENARIOS: dict[str, Callable[[Path], Scenario]] = {
    "cpu-temperature": cpu_temperature,
    "distance": distance,
    "gpio-input": gpio_input,
    "gpio-output": gpio_output,
    "hwmon": hwmon,
    "iio": iio,
    "mcp3xxx": mcp3xxx,
    "one-wire": one_wire,
    "pulse-counter": pulse_counter,
    "modbus": modbus,
    "nmea": nmea,
    "pattern": pattern,
    "picamera2": picamera2,
    "pwm": pwm,
    "recorder": recorder,
    "replay": replay,
    "scripted": scripted,
    "serial-command": RelayBoard,
    "serial-frames": serial_frames,
    "serial-lines": serial_lines,
    "servo": servo,
    "usb": usb,
}

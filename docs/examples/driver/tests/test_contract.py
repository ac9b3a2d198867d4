"""The contract of reflexd over each driver of this package, on devices made of files."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from reflexd_driver_example.usb_pedal import DOWN, EV_KEY, EVENT
from reflexd_drivers.contract import ActuatorContract, CameraContract, Scenario, SensorContract


class Pedal(Scenario):
    """A FIFO for the kernel's device: what is written to it is an event, and without a writer the pedal is unplugged."""

    exclusive = False

    def __init__(self, folder: Path) -> None:
        super().__init__({"driver": "usb-pedal", "device": str(folder / "event0")}, {"device": str(folder / "event1")})
        os.mkfifo(folder / "event0")
        self.writer = os.open(folder / "event0", os.O_RDWR)

    def vanish(self) -> None:
        self.end()

    def end(self) -> None:
        if self.writer >= 0:
            os.close(self.writer)
            self.writer = -1


class ThermalCamera(Scenario):
    """A program that replaces its picture a hundred times a second."""

    exclusive = False

    def __init__(self, folder: Path) -> None:
        super().__init__({"driver": "pgm-file", "path": folder / "heat.pgm"}, {"path": folder / "none.pgm"})
        self.file, self.stop = folder / "heat.pgm", threading.Event()
        self.write(0)
        self.program = threading.Thread(target=self.run)
        self.program.start()

    def write(self, grey: int) -> None:
        new = self.file.with_suffix(".new")
        new.write_bytes(b"P5 6 4 255\n" + bytes([grey % 256]) * 24)
        new.rename(self.file)

    def run(self) -> None:
        count = 0
        while not self.stop.wait(0.01):
            count += 1
            self.write(count)

    def go_quiet(self) -> None:
        self.stop.set()
        self.program.join()

    def vanish(self) -> None:
        self.go_quiet()
        self.file.unlink()

    def end(self) -> None:
        self.go_quiet()


class Led(Scenario):
    """A folder for the kernel's LED."""

    exclusive = False

    def __init__(self, folder: Path) -> None:
        table = {"driver": "sysfs-led", "led": "ACT", "folder": str(folder), "safe": "off"}
        super().__init__(table, {"led": "none"}, lambda: int((folder / "ACT" / "brightness").read_text()) / 255)
        (folder / "ACT").mkdir()
        (folder / "ACT" / "max_brightness").write_text("255\n")
        (folder / "ACT" / "brightness").write_text("0\n")
        self.folder = folder / "ACT"

    def vanish(self) -> None:
        (self.folder / "brightness").unlink()


class TestPedal(SensorContract):
    scenarios = {"usb-pedal": Pedal}


class TestThermalCamera(CameraContract):
    scenarios = {"pgm-file": ThermalCamera}


class TestLed(ActuatorContract):
    scenarios = {"sysfs-led": Led}


def test_a_press_and_a_release_between_two_reads_are_both_counted(tmp_path: Path) -> None:
    case = Pedal(tmp_path)
    device = case.open("sensor")
    os.write(case.writer, b"".join(EVENT.pack(0, 0, EV_KEY, 48, value) for value in (DOWN, 0)))
    reading = device.read(1.0)
    device.close()
    case.end()
    assert (reading.value, reading.rises, reading.falls) == (False, 1, 1)

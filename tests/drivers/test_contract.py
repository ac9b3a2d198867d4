"""One contract for every registered driver. A driver without a scenario fails here: write one.

A scenario gives settings with which the driver opens without hardware, settings of a device that is
not there, and what makes the device go away or speak where that is needed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from time import monotonic, monotonic_ns, sleep
from typing import Any

import pytest

from reflexd_drivers import registry
from reflexd_drivers.base import ActuatorSettings, CameraSettings, DriverError, SensorSettings

from .scenarios import SCENARIOS, Scenario

REGISTERED = [(kind, name) for kind in registry.DRIVERS for name in registry.DRIVERS[kind]]
SOURCES = [(kind, name) for kind, name in REGISTERED if kind != "actuator"]
ACTUATORS = [name for kind, name in REGISTERED if kind == "actuator"]
DEVICES = [(kind, name) for kind, name in REGISTERED if name not in {"pattern"}]     # what draws for itself is never absent
BASES = {"camera": CameraSettings, "sensor": SensorSettings, "actuator": ActuatorSettings}
VENDORS = ("cv2", "gpiozero", "lgpio", "serial")


MADE: list[Scenario] = []


def scenario(name: str, folder: Path) -> Scenario:
    assert name in SCENARIOS, f'driver "{name}" has no scenario in tests/drivers/scenarios.py; the contract has to be tested'
    MADE.append(SCENARIOS[name](folder))
    return MADE[-1]


@pytest.fixture(autouse=True)
def end_scenarios() -> Iterator[None]:
    """Take away the devices that a test had made."""
    yield
    while MADE:
        MADE.pop().end()


def files_open() -> set[str]:
    found = set()
    for entry in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            found.add(f"{entry.name}:{entry.readlink()}")
    return {name for name in found if "/proc/" not in name}


@pytest.mark.parametrize(("kind", "name"), REGISTERED)
def test_settings_refine_those_of_their_kind_and_explain_each_key(kind: registry.Kind, name: str) -> None:
    settings = registry.load(kind, name).Settings
    assert issubclass(settings, BASES[kind])
    schema = settings.model_json_schema()
    unexplained = [key for key, value in schema["properties"].items() if not value.get("description")]
    assert unexplained == []
    assert schema["additionalProperties"] is False
    json.dumps(schema)


def test_settings_are_made_without_any_library_of_a_vendor() -> None:
    code = ("import sys; from reflexd_drivers import registry\n"
            "for kind, drivers in registry.DRIVERS.items():\n"
            "    for name in drivers: registry.load(kind, name).Settings.model_json_schema()\n"
            f"print([name for name in {VENDORS} if name in sys.modules])")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(("kind", "name"), DEVICES)
def test_a_device_that_is_not_there_gives_one_line_that_says_what_to_do(kind: registry.Kind, name: str, tmp_path: Path) -> None:
    case = scenario(name, tmp_path)
    with pytest.raises(DriverError) as caught:
        case.connect(kind, case.absent)
    text = str(caught.value)
    where, _, rest = text.partition(": ")
    assert "\n" not in text
    assert where, "says where"
    assert rest[0].islower()
    assert ";" in rest, "says what to do after what was found"
    assert not text.endswith(".")


@pytest.mark.parametrize(("kind", "name"), REGISTERED)
def test_a_second_close_does_nothing(kind: registry.Kind, name: str, tmp_path: Path) -> None:
    device = scenario(name, tmp_path).open(kind)
    device.close()
    device.close()


@pytest.mark.parametrize(("kind", "name"), REGISTERED)
def test_nothing_is_left_after_close(kind: registry.Kind, name: str, tmp_path: Path) -> None:
    case = scenario(name, tmp_path)
    case.open(kind).close()      # what a library keeps for the whole process is there now
    files, threads = files_open(), set(threading.enumerate())
    device = case.open(kind)
    if kind != "actuator":
        item = device.read(1.0)
        if kind == "camera":
            item.release()
    device.close()
    assert files_open() == files
    assert set(threading.enumerate()) == threads


@pytest.mark.parametrize(("kind", "name"), REGISTERED)
def test_a_device_can_be_opened_again_after_close(kind: registry.Kind, name: str, tmp_path: Path) -> None:
    case = scenario(name, tmp_path)
    for _ in range(3):
        device = case.open(kind)
        if kind == "camera":
            device.read(1.0).release()
        device.close()


@pytest.mark.parametrize(("kind", "name"), SOURCES)
def test_a_read_keeps_its_bound(kind: registry.Kind, name: str, tmp_path: Path) -> None:
    case = scenario(name, tmp_path)
    device = case.open(kind)
    try:
        for _ in range(5):
            began = monotonic()
            with suppress(DriverError):
                item = device.read(0.05)
                if kind == "camera":
                    item.release()
            assert monotonic() - began < 0.05 + 0.15
            case.go_quiet()
    finally:
        device.close()


@pytest.mark.parametrize(("kind", "name"), SOURCES)
def test_close_from_another_thread_ends_a_read_soon(kind: registry.Kind, name: str, tmp_path: Path) -> None:
    case = scenario(name, tmp_path)
    device = case.open(kind)
    first = device.read(1.0)
    if kind == "camera":
        first.release()
    case.go_quiet()
    caught: list[BaseException] = []
    done: list[float] = []

    def read() -> None:
        try:
            while True:
                item = device.read(5.0)
                if kind == "camera":
                    item.release()
        except DriverError as error:
            caught.append(error)
        done.append(monotonic())

    reader = threading.Thread(target=read)
    reader.start()
    sleep(0.05)
    closed_at = monotonic()
    device.close()
    reader.join(5)
    assert not reader.is_alive()
    assert done[0] - closed_at < 0.3
    assert len(caught) == 1
    with pytest.raises(DriverError):
        device.read(0.01)


@pytest.mark.parametrize("name", [name for kind, name in REGISTERED if kind == "camera"])
def test_a_frame_has_a_rising_sequence_and_a_time_that_is_now(name: str, tmp_path: Path) -> None:
    device = scenario(name, tmp_path).open("camera")
    before, frames = monotonic_ns(), []
    for _ in range(3):
        frame = device.read(1.0)
        frames.append((frame.sequence, frame.taken_at, frame.views["main"].format, frame.views["main"].planes[0].dtype.name))
        frame.release()
    device.close()
    assert frames == sorted(frames)
    assert len({frame[0] for frame in frames}) == 3
    assert all(before - 5e9 <= frame[1] <= monotonic_ns() for frame in frames)
    assert {frame[3] for frame in frames} == {"uint8"}
    assert isinstance(device.lossless, bool)


@pytest.mark.parametrize("name", [name for kind, name in REGISTERED if kind == "sensor"])
def test_a_sensor_repeats_its_value_with_a_new_time_and_keeps_when_it_changed(name: str, tmp_path: Path) -> None:
    device = scenario(name, tmp_path).open("sensor")
    first = device.read(0.2)
    began = monotonic_ns()
    again = device.read(0.05)
    device.close()
    assert again.value == first.value
    assert again.taken_at > first.taken_at
    assert again.taken_at >= began
    assert again.changed_at == first.changed_at <= first.taken_at


@pytest.mark.parametrize("name", ACTUATORS)
@pytest.mark.parametrize("safe", ["on", "off"])
def test_an_actuator_is_at_its_safe_level_after_connect_and_after_close(name: str, safe: str, tmp_path: Path) -> None:
    case = scenario(name, tmp_path)
    case.table["safe"] = safe
    want = float(safe == "on")
    device = case.open("actuator")
    assert case.level() == want
    device.set(1 - want)
    assert case.level() == 1 - want
    device.safe()
    assert case.level() == want
    device.set(1 - want)
    device.close()
    assert case.level() == want
    with pytest.raises(DriverError):
        device.set(1.0)


@pytest.mark.parametrize("name", ACTUATORS)
def test_settings_say_whether_something_sets_the_safe_level_after_a_death(name: str, tmp_path: Path) -> None:
    device = scenario(name, tmp_path).open("actuator")
    settings: Any = registry.load("actuator", name).Settings
    assert settings.guarded is (device.after_death() is not None)
    assert isinstance(device.blocking, bool)
    device.close()


def test_files_that_are_open_can_be_seen_by_this_test() -> None:
    before = files_open()
    file = os.open("/dev/null", os.O_RDONLY)
    assert files_open() != before
    os.close(file)
    assert files_open() == before

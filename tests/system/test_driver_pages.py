"""The page of each driver: its keys are those of its settings, its example works, and its picture shows the pins of that."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from reflexd.config.load import load
from reflexd_drivers import registry
from reflexd_drivers.gpio import HEADER_LABELS, PINS, RESERVED
from reflexd_drivers.header import BOARDS, POSITIONS, PWM_FUNCTIONS, USES
from reflexd_drivers.sensors.mcp3xxx import SELECT_PINS, SPI_PINS
from tests import pages

ROOT = pages.ROOT
FOLDER = ROOT / "docs" / "drivers"
NAMES = sorted({(name, kind) for kind in registry.DRIVERS for name in registry.DRIVERS[kind]})
WITHOUT_WIRES = {
    "usb": "a plug", "picamera2": "a ribbon cable", "serial-command": "the other end of a cable, wired as serial-lines is",
    "pattern": "no hardware", "replay": "no hardware", "scripted": "no hardware", "recorder": "no hardware",
    "cpu-temperature": "it is inside",
}
NEEDS_HARDWARE = {
    "usb": "a camera", "picamera2": "a camera", "modbus": "a line", "nmea": "a line", "serial-frames": "a line",
    "serial-lines": "a line", "serial-command": "a line", "iio": "a sensor of the kernel", "hwmon": "a sensor of the kernel",
    "one-wire": "a sensor of the kernel", "cpu-temperature": "a thermal zone", "mcp3xxx": "a bus", "pwm": "a chip of the kernel",
    "servo": "a chip of the kernel", "distance": "an echo",
}
LONGEST = 12        # lines of a driver's own table in its example


def page(name: str) -> Path:
    return FOLDER / f"{name}.md"


def example(name: str) -> str:
    """Give the first block of a page that uses its driver."""
    return next(one.text for one in pages.blocks(page(name)) if one.language == "toml" and f'driver = "{name}"' in one.text)


def configured(name: str, kind: registry.Kind, folder: Path, more: str = "") -> Any:
    """Check an example, and give the settings of its device."""
    text = example(name)
    whole = text if "schema = 1" in text else f"schema = 1\n{text}"
    file = folder / "reflexd.toml"
    file.write_text(f"{whole}\n{more}")
    settings = load(file).settings
    return next(one for one in getattr(settings, kind).values() if one.driver == name)


def test_whatever_repeats_the_source_is_as_the_source_says() -> None:
    command = [str(ROOT / "scripts" / "docs"), "--check"]
    environment = {**os.environ, "PYTHON": sys.executable}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, ""), "run scripts/docs"


def test_a_page_that_is_not_as_the_source_says_is_found(tmp_path: Path) -> None:
    for name in ("daemon", "drivers", "models", "scripts", "docs", "tests"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__", "training", "*.avi"))
    changed = tmp_path / "docs" / "drivers" / "gpio-input.md"
    changed.write_text(changed.read_text().replace("**needed**", "none"))
    (tmp_path / "docs" / "drivers" / "wiring" / "gpio-input.svg").unlink()
    command = [str(tmp_path / "scripts" / "docs")]
    environment = {**os.environ, "PYTHON": sys.executable}
    done = subprocess.run([*command, "--check"], env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1
    assert [line.partition(":")[0] for line in done.stdout.splitlines()] == [
        "docs/drivers/gpio-input.md", "docs/drivers/wiring/gpio-input.svg"]
    subprocess.run(command, env=environment, capture_output=True, timeout=120, check=True)
    assert changed.read_text() == page("gpio-input").read_text()


@pytest.mark.parametrize(("name", "kind"), NAMES)
def test_a_driver_has_a_page_with_all_that_a_reader_looks_for(name: str, kind: str) -> None:
    text = page(name).read_text()
    assert text.startswith(f"# {name}: ")
    assert "<!-- keys -->" in text, "the table of keys comes from the settings"
    assert re.search(r"^Threads: |Threads: ", text, re.MULTILINE), "which threads it brings"
    assert "| message | what happened |" in text
    assert f"| {kind} | [{name}]({name}.md) |" in (FOLDER / "README.md").read_text()


@pytest.mark.parametrize(("name", "kind"), NAMES)
def test_the_example_of_a_page_is_short_and_right(name: str, kind: registry.Kind, tmp_path: Path) -> None:
    assert configured(name, kind, tmp_path).driver == name
    table = next(part for part in re.split(r"^(?=\[)", example(name), flags=re.MULTILINE) if f'driver = "{name}"' in part)
    assert len([line for line in table.splitlines() if line.strip()]) <= LONGEST


@pytest.mark.parametrize(("name", "kind"), [one for one in NAMES if one[0] not in NEEDS_HARDWARE])
def test_the_example_of_a_driver_that_needs_no_hardware_runs(name: str, kind: registry.Kind, tmp_path: Path) -> None:
    for file in ("meter.avi", "away.csv"):
        shutil.copy(ROOT / "docs" / "examples" / "meter" / file, tmp_path)
    mock = '[gpio]\nfactory = "mock"\n' if "pin" in registry.load(kind, name).Settings.model_fields else ""
    device = registry.load(kind, name).connect(configured(name, kind, tmp_path, mock))
    try:
        if kind == "actuator":
            device.set(1.0)
        elif kind == "camera":
            device.read(2.0).release()
        else:
            assert device.read(0.2).taken_at > 0
    finally:
        device.close()


def test_what_is_said_to_need_hardware_is_a_driver() -> None:
    assert {*NEEDS_HARDWARE, *WITHOUT_WIRES} <= {name for name, _ in NAMES}


@pytest.mark.parametrize("name", sorted({name for name, _ in NAMES} - WITHOUT_WIRES.keys()))
def test_a_page_shows_how_its_example_is_wired(name: str) -> None:
    assert f"](wiring/{name}.svg)" in page(name).read_text()
    shown = set(words(FOLDER / "wiring" / f"{name}.svg"))
    pins = {value for table in tables(tomllib.loads(example(name))) if table.get("driver") == name
            for value in table.values() if isinstance(value, str) and value.startswith("GPIO")}
    assert pins <= shown
    for pin in pins:
        assert f"pin {POSITIONS[int(pin[4:])]}" in shown


def words(picture: Path) -> list[str]:
    """Give what stands in a picture."""
    return [text for one in ElementTree.parse(picture).iter() if one.tag.endswith("text") and (text := one.text)]


def tables(whole: Any) -> Iterator[dict[str, Any]]:
    """Give every table of a configuration."""
    if isinstance(whole, dict):
        yield whole
        for one in whole.values():
            yield from tables(one)


@pytest.mark.parametrize("picture", sorted((FOLDER / "wiring").glob("*.svg")), ids=lambda one: one.stem)
def test_a_picture_stays_within_its_paper_and_knows_the_dark(picture: Path) -> None:
    root = ElementTree.parse(picture).getroot()
    _, _, width, height = map(float, root.attrib["viewBox"].split())
    for one in root.iter():
        if one.tag.endswith("text"):
            room = float(one.attrib["x"]) + (len(one.text or "") * 7.2 if one.get("text-anchor", "start") == "start" else 0)
            assert room <= width, f"{one.text} runs out of the picture"
            assert float(one.attrib["y"]) <= height
    assert "prefers-color-scheme: dark" in picture.read_text()


def test_the_pins_that_drivers_know_are_those_of_the_table() -> None:
    text = (ROOT / "docs" / "pins.md").read_text()
    assert len(PINS) == len(POSITIONS)
    assert tuple(board.chip for board in BOARDS) == HEADER_LABELS
    for pin in RESERVED:
        assert re.search(rf"(\| [^|]*reserved \| {pin} \||\| {pin} \| [^|]*reserved \|)", text)
    assert all(f"| GPIO{bcm} |" in text for bcm in range(len(POSITIONS)))
    assert all("SPI0" in USES[int(pin[4:])] for pin in (*SPI_PINS, *SELECT_PINS))
    assert all(PWM_FUNCTIONS.keys() == board.pwm.keys() for board in BOARDS)

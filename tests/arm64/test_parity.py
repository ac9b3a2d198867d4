"""On 64-bit ARM, emulated as a Raspberry Pi 4's processor: apt installs the package, which says of each frame what is said here.

Nothing of this is ever skipped: what cannot be run fails. scripts/arm64 builds what it needs.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.system.meter import EXAMPLE, ROOT

ARM64 = ROOT / "scripts" / "arm64"
DEMO = Path(__file__).with_name("demo.py")
PRIVATE = "/usr/lib/reflexd"
INSTALLED = "/usr/share/doc/reflexd/examples/meter/reflexd.toml"
RECORDING = EXAMPLE / "meter.avi"
FRAMES = 20
WHOLE = 200         # frames of the recording
Run = Callable[..., str]


def done(command: list[str]) -> str:
    """Run a command to its end and give what it said; a failure is shown with all that it said."""
    ended = subprocess.run(command, capture_output=True, text=True, timeout=1200, check=False, cwd=ROOT)
    assert ended.returncode == 0, f"{' '.join(command)}: status {ended.returncode}\n{ended.stdout}{ended.stderr}"
    return ended.stdout + ended.stderr


@pytest.fixture(scope="session")
def emulated() -> Run:
    """Give a function that runs a command where the package of this checkout is installed."""
    done([str(ARM64), "up"])
    return lambda *arguments: done([str(ARM64), "run", *map(str, arguments)])


@pytest.fixture(scope="session")
def python(emulated: Run) -> Run:
    """Give a function that runs Python there, with what the package carries."""
    return lambda *arguments: emulated("env", f"PYTHONPATH={PRIVATE}", "python3", *arguments)


def test_it_is_64_bit_arm_that_is_emulated(python: Run) -> None:
    assert "aarch64 64bit" in python("-c", "import platform; print(platform.machine(), platform.architecture()[0])")


def test_apt_has_installed_the_package_whole(emulated: Run) -> None:
    assert emulated("dpkg-query", "-W", "-f", "${Status} ${Architecture}", "reflexd") == "install ok installed arm64"
    assert emulated("dpkg", "--verify", "reflexd") == ""


def test_the_installed_commands_run_from_the_package_and_not_from_the_checkout(emulated: Run, python: Run) -> None:
    assert "reflexd " in emulated("reflexd", "--version")
    assert "ok: 1 camera" in emulated("reflexctl", "check", INSTALLED)
    where = python("-c", "import reflexd, reflexd_drivers, reflexd_models.zoo as zoo; print(reflexd.__file__, *zoo.__path__)")
    assert all(one.startswith(f"{PRIVATE}/") for one in where.split())


def test_the_daemon_decides_on_twenty_frames_of_the_demo(emulated: Run, tmp_path: Path) -> None:
    said = emulated("reflexd", "--config", INSTALLED, "--socket", tmp_path / "socket", "--frames", 20)
    assert "model.meter: run: LiteRT" in said
    assert "every output safe, leaving: 20 predictions were decided" in said


@dataclass
class Ran:
    """What the demo noted of each frame, here or there."""

    machine: str
    runtime: str
    given: Any             # uint8 (frames, wheels, height, width, 3)
    raw: Any               # (frames, wheels, labels), as the network gives it
    values: list[float]    # nan: no number could be read
    raw_of_other: Any      # of what the other network was given


def ran(run: Run, recording: Path, frames: int, out: Path, *other: Path) -> Ran:
    """Run the demo; every frame has to be there."""
    run(DEMO, EXAMPLE, recording, frames, out, *other)
    with np.load(out) as notes:
        assert notes["status"] == 0
        assert len(notes["raw"]) == frames
        return Ran(str(notes["machine"]), str(notes["runtime"]), notes["given"].astype(int), notes["raw"],
                   notes["values"].tolist(), notes.get("raw_of_other"))


def here(*arguments: object) -> str:
    """Run this Python, with the checkout."""
    return done([sys.executable, *map(str, arguments)])


def numbers(one: Ran) -> list[str]:
    """Give what was read as text, since no number equals no number."""
    return [str(value) for value in one.values]


def test_of_the_same_pictures_every_quantized_score_is_bit_for_bit_the_same_as_here(python: Run, tmp_path: Path) -> None:
    """Twenty frames of all the recording, decoded here; and what the network is given of them differs by no more than rounding.

    OpenCV's linear resampling rounds another way on ARM (its carotene and KleidiCV), by 1 of 255; the bit-exact variant
    would take two to three times as long. So the same pictures are those that the network here was given.
    """
    frames, more = [], cv2.VideoCapture(str(RECORDING))
    while (got := more.read())[0]:
        frames.append(cv2.cvtColor(got[1], cv2.COLOR_BGR2RGB))
    np.savez(tmp_path / "frames.npz", x=np.stack(frames[::len(frames) // FRAMES]))
    ours = ran(here, tmp_path / "frames.npz", FRAMES, tmp_path / "here.npz")
    theirs = ran(python, tmp_path / "frames.npz", FRAMES, tmp_path / "there.npz", tmp_path / "here.npz")
    assert (theirs.machine, theirs.runtime) == ("aarch64", ours.runtime)
    assert len(set(numbers(ours))) > 5, "the digits turn"
    assert np.array_equal(theirs.raw_of_other, ours.raw)
    assert numbers(theirs) == numbers(ours)
    assert abs(theirs.given - ours.given).max() <= 1


def test_of_the_recording_every_number_that_is_read_is_the_same_as_here(python: Run, tmp_path: Path) -> None:
    """All of it, decoded there and here: FFmpeg too rounds colours another way on ARM, by up to 2 of 255."""
    ours = ran(here, RECORDING, WHOLE, tmp_path / "here.npz")
    theirs = ran(python, RECORDING, WHOLE, tmp_path / "there.npz")
    assert numbers(theirs) == numbers(ours)

"""What setup chooses, writes and refuses; the whole verb is in tests/system/test_setup.py."""

from __future__ import annotations

import argparse
import io
import os
import tomllib
from pathlib import Path

import pytest

from reflexd.arming import FILE as ARMING
from reflexd.arming import recall
from reflexd.config.load import load
from reflexd.ctl import setup as verb
from reflexd.setup import SetupError, files, steps
from reflexd.setup.choices import Choices, choose
from reflexd.setup.trial import decided, troubles
from reflexd.setup.writing import summary, text_of
from reflexd_drivers.cameras.libcamera_list import FoundSensor
from reflexd_drivers.probe import Found, FoundCamera, FoundChip, FoundPort

VGA = ((640, 480), (640, 480))
HEADER = FoundChip("/dev/gpiochip0", "pinctrl-bcm2711", 58)
WEBCAM = FoundCamera("/dev/v4l/by-id/usb-Webcam-video-index0", "Webcam", {"YUYV": (VGA,)})
SECOND = FoundCamera("/dev/video2", "Second\nline", {"GREY": ()})
PI = Found((WEBCAM, SECOND), (HEADER,), (FoundPort("/dev/serial/by-id/usb-Arduino"),))
SORTER = """schema = 1
name = "sorter"
file = "sorter.tflite"
sha256 = "{}"
task = "classify"
labels = ["paper", "glass"]
"""


def arguments(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    verb.add_arguments(parser)
    return parser.parse_args(["--yes", *words])


def chosen(tmp_path: Path, found: Found, *words: str) -> Choices:
    return choose(arguments(*words), found, tmp_path, interactive=False)


def refusal(tmp_path: Path, found: Found, *words: str) -> str:
    with pytest.raises(SetupError) as refused:
        chosen(tmp_path, found, *words)
    assert refused.value.status == 2
    return str(refused.value)


def written(tmp_path: Path, choices: Choices) -> Path:
    path = tmp_path / "reflexd.toml"
    path.write_text(text_of(choices, tmp_path, "2026-11-21"))
    return path


@pytest.fixture
def sorter(tmp_path: Path) -> Path:
    folder = tmp_path / "bundles" / "sorter"
    folder.mkdir(parents=True)
    (folder / "model.toml").write_text(SORTER.format("0" * 64))
    (folder / "sorter.tflite").write_bytes(b"")
    return folder


def test_on_a_pi_the_first_camera_a_button_and_a_lamp_are_taken(tmp_path: Path) -> None:
    choices = chosen(tmp_path, PI)
    assert (choices.camera, choices.input, choices.output, choices.network) == (WEBCAM, "GPIO4", "GPIO17", None)
    tables = tomllib.loads(written(tmp_path, choices).read_text())
    assert tables["camera"]["front"] == {"driver": "usb", "device": WEBCAM.device, "size_px": [640, 480]}
    assert tables["sensor"]["button"] == {"driver": "gpio-input", "pin": "GPIO4", "pull": "up", "active": "low", "debounce_ms": 5}
    assert tables["actuator"]["lamp"] == {"driver": "gpio-output", "pin": "GPIO17", "safe": "off", "max_on_s": 300}


@pytest.mark.parametrize("words", [(), ("--model", "meter"), ("--model", "sorter", "--label", "glass"), ("--camera", "none"),
                                   ("--input", "none", "--model", "meter"), ("--input", "script", "--output", "record")])
@pytest.mark.parametrize("found", [PI, Found((WEBCAM,))], ids=["pi", "laptop"])
def test_what_is_written_is_right_but_for_a_camera_that_waits_for_its_network(
        tmp_path: Path, sorter: Path, words: tuple[str, ...], found: Found) -> None:
    path = written(tmp_path, chosen(tmp_path, found, *words))
    path.write_text(path.read_text().replace("\n[daemon]\n", f'\n[daemon]\nstate_dir = "{tmp_path}"\n', 1))
    warnings = [str(one) for one in load(path).warnings]
    assert [one for one in warnings if "camera.front: no model or rule uses this camera" not in one] == []


def test_what_was_found_besides_is_written_as_comments_with_real_paths(tmp_path: Path) -> None:
    text = written(tmp_path, chosen(tmp_path, PI)).read_text()
    assert '# device = "/dev/video2"' in text
    assert '# port = "/dev/serial/by-id/usb-Arduino"' in text
    assert "Second?line" in text, "what a device calls itself is no line of ours"
    commented = "\n".join(line.removeprefix("# ") if line.startswith(("# [", "# d", "# p", "# baud")) else line
                          for line in text.splitlines())
    assert set(tomllib.loads(commented)["camera"]) == {"front", "number2"}


@pytest.mark.parametrize(("used", "pins"), [({4: "fan"}, ("GPIO22", "GPIO17")), ({17: "spi", 27: "spi"}, ("GPIO4", "GPIO5")),
                                            (dict.fromkeys(range(28), "x"), ("script", "record"))])
def test_pins_that_are_in_use_are_passed_over(tmp_path: Path, used: dict[int, str], pins: tuple[str, str]) -> None:
    choices = chosen(tmp_path, Found(chips=(FoundChip("/dev/gpiochip0", "pinctrl-rp1", 54, used),)))
    assert (choices.input, choices.output) == pins


RIBBON = FoundSensor("/base/soc/i2c0mux/i2c@1/imx708@1a", 0, "imx708", ((2304, 1296), (4608, 2592)))


@pytest.mark.parametrize("words", [(), ("--camera", RIBBON.device)])
def test_a_pis_own_camera_is_taken_by_its_id(tmp_path: Path, words: tuple[str, ...]) -> None:
    found = Found((RIBBON, WEBCAM), (HEADER,))
    choices = chosen(tmp_path, found, *words)
    path = written(tmp_path, choices)
    front = tomllib.loads(path.read_text())["camera"]["front"]
    assert front == {"driver": "picamera2", "id": RIBBON.device, "size_px": [640, 480]}
    assert not [one for one in load(path).warnings if "camera.front: no model or rule" not in str(one)]
    assert next(iter(summary(found))) == f"camera   {RIBBON.device}: imx708, by libcamera"


def test_a_pis_own_camera_that_is_not_chosen_is_a_comment(tmp_path: Path) -> None:
    text = written(tmp_path, chosen(tmp_path, Found((RIBBON, WEBCAM), (HEADER,)), "--camera", WEBCAM.device)).read_text()
    assert f'# driver = "picamera2"\n# id = "{RIBBON.device}"' in text


def test_a_camera_that_is_in_use_is_passed_over(tmp_path: Path) -> None:
    busy = FoundCamera("/dev/video0", "Busy", {"YUYV": (VGA,)}, "motion (process 4)")
    assert chosen(tmp_path, Found((busy, WEBCAM))).camera is WEBCAM


@pytest.mark.parametrize(("words", "says"), [
    (["--input", "17"], 'write "GPIO17"'),
    (["--output", "GPIO1"], "GPIO1 is reserved"),
    (["--output", "GPIO4"], "is the button's already"),
    (["--output", "GPIO9"], "GPIO9 is in use by spi0"),
    (["--camera", "/dev/video9"], f"found {WEBCAM.device}, /dev/video2"),
    (["--model", "person"], "a path has a slash in it"),
    (["--model", "meter", "--camera", "none"], "a network needs a camera"),
    (["--model", "vibration-lstm"], "watches sensors, whose section depends on your device; begin with docs/examples/vibration"),
    (["--model", "sorter"], "choose one of paper, glass"),
    (["--model", "sorter", "--label", "metal"], "choose one of paper, glass"),
    (["--input", "none"], "nothing would ever be decided"),
])
def test_answers_that_cannot_be_are_refused_with_the_remedy(
        tmp_path: Path, sorter: Path, words: list[str], says: str) -> None:
    found = Found(PI.cameras, (FoundChip("/dev/gpiochip0", "pinctrl-bcm2711", 58, {9: "spi0"}),))
    line = refusal(tmp_path, found, *words)
    assert says in line
    assert "\n" not in line


def test_a_pin_without_a_header_is_refused_and_never_simulated(tmp_path: Path) -> None:
    assert "no GPIO chip of a Raspberry Pi's header" in refusal(tmp_path, Found(), "--output", "GPIO17")
    assert "mock" not in written(tmp_path, chosen(tmp_path, Found())).read_text()


def test_a_recording_stands_in_for_a_camera(tmp_path: Path, root: Path) -> None:
    recording = root / "docs" / "examples" / "meter" / "meter.avi"
    path = written(tmp_path, chosen(tmp_path, Found(), "--camera", str(recording)))
    assert tomllib.loads(path.read_text())["camera"]["front"] == {"driver": "replay", "path": str(recording), "loop": True}


@pytest.mark.parametrize("name", ["quo\"te'.avi", "new\nline.avi", "del\x7f.avi", "back\\slash.avi", "\x1b[31m.avi", "üñ✓ #.avi"])
def test_a_file_of_any_name_gets_into_the_configuration(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    path = written(tmp_path, chosen(tmp_path, PI, "--camera", str(tmp_path / name)))
    assert tomllib.loads(path.read_text())["camera"]["front"]["path"] == str(tmp_path / name)


def test_a_name_that_cannot_be_written_or_opened_is_refused(tmp_path: Path) -> None:
    odd = tmp_path / os.fsdecode(b"\xff.avi")
    odd.touch()
    (tmp_path / "loop").symlink_to("loop")
    assert "rename it" in refusal(tmp_path, PI, "--camera", str(odd))
    assert "rename it" in refusal(tmp_path, PI, "--model", str(odd))
    for name in ("a" * 300, str(tmp_path / "loop")):
        assert "neither a camera that can be read nor a recording" in refusal(tmp_path, PI, "--camera", name)


def test_what_the_service_cannot_see_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="the service sees nothing of /home"):
        steps.refuse_hidden(Choices(Found(), Path("/home/pi/seen.avi"), "script", "record"), tmp_path)


def test_what_was_found_is_told_in_a_line_each() -> None:
    chip = FoundChip("/dev/gpiochip0", "pinctrl-rp1", 54, {17: "fan", 40: "led"})
    assert list(summary(Found((WEBCAM,), (chip,), (FoundPort("/dev/ttyUSB0", "minicom (process 7)"),)))) == [
        f"camera   {WEBCAM.device}: Webcam, YUYV, 640x480",
        "GPIO     /dev/gpiochip0: pinctrl-rp1, 54 lines, the header's; in use: 17 by fan",
        "serial   /dev/ttyUSB0, in use by minicom (process 7)",
    ]


@pytest.mark.parametrize(("text", "precious"), [
    ("schema = 1\n[daemon]\ndry_run = true\n", False), ("", False), ('schema = 1\n[sensor.x]\ndriver = "scripted"\n', True),
    ("schema = 1\n[daemon]\nsocket_group = \"pi\"\n", True), ("schema = [", True), ("daemon = 1", True),
])
def test_a_configuration_is_precious_when_somebody_wrote_something_into_it(tmp_path: Path, text: str, precious: bool) -> None:
    path = tmp_path / "reflexd.toml"
    path.write_text(text)
    assert files.is_precious(path) is precious


def test_the_configuration_of_the_package_is_not_precious(root: Path, tmp_path: Path) -> None:
    assert not files.is_precious(root / "systemd" / "reflexd.toml")
    assert not files.is_precious(tmp_path / "none")


def test_a_file_keeps_its_mode_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "reflexd.toml"
    path.write_text("old")
    path.chmod(0o640)
    files.put(path, b"new", like=path)
    assert (path.read_text(), path.stat().st_mode & 0o777, list(tmp_path.iterdir())) == ("new", 0o640, [path])


@pytest.mark.parametrize("said", [None, b"armed\n", b"disarmed\n"])
def test_a_configuration_that_cannot_be_put_in_place_changes_nothing_of_what_was_said(tmp_path: Path, said: bytes | None) -> None:
    files.say(tmp_path, said)
    config = tmp_path / "reflexd.toml"
    config.mkdir()
    (tmp_path / "new").touch()
    with pytest.raises(SetupError):
        steps.disarmed(tmp_path / "new", config, tmp_path)
    assert (tmp_path / ARMING).exists() == (said is not None)
    assert said is None or (tmp_path / ARMING).read_bytes() == said


class Unread(io.StringIO):
    """A pipe that nobody reads."""

    def write(self, text: str) -> int:
        raise BrokenPipeError(text)


def test_a_configuration_that_is_in_place_is_not_armed_by_what_was_said_of_the_one_before(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files.say(tmp_path, b"armed\n")
    (tmp_path / "new").touch()
    monkeypatch.setattr("sys.stdout", Unread())
    with pytest.raises(BrokenPipeError):
        steps.disarmed(tmp_path / "new", tmp_path / "reflexd.toml", tmp_path)
    assert (tmp_path / "reflexd.toml").exists()
    assert not recall(tmp_path, "armed")


def test_a_disk_that_is_full_is_told_in_one_line() -> None:
    with pytest.raises(SetupError, match=r"cannot be written: .*; make room there"):
        files.put(Path("/proc/reflexd/reflexd.toml"), b"x")


def test_troubles_and_decisions_are_read_from_a_status() -> None:
    fine = {"state": "run", "why": "", "frames": 3, "readings": 3}
    late = {"state": "degraded", "why": "unplugged", "frames": 0}
    report = {"cameras": {"a": fine, "b": late}, "models": {}, "sensors": {"c": {**fine, "readings": 0}},
              "outputs": {"lamp": {"changes": 2, "active": False}}}
    assert list(troubles(report)) == [("camera b", "unplugged"), ("sensor c", "opening")]
    assert decided(report) == "lamp went on and off again"
    assert decided({"outputs": {"lamp": {"changes": 0}}}) is None

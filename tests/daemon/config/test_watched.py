"""What a model watches has to fit its task, its sensors and its bundle; each error names its place and a remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from reflexd.config.load import ConfigError, Loaded, load

HEAD = """\
schema = 1

[sensor.vibration]
driver = "serial-lines"
port = "/dev/ttyUSB0"
columns = ["x", "y", "z"]
max_age_ms = 10000

[sensor.tilt]
driver = "iio"
device = "lis3dh"
channel = "in_accel_x"
more = ["in_accel_y"]
every_ms = 10

[sensor.spare]
driver = "iio"
device = "lis3dh"
channel = "in_accel_z"
every_ms = 10

[sensor.slow]
driver = "iio"
device = "lis3dh"
channel = "in_accel_z"
every_ms = 100

[sensor.door]
driver = "gpio-input"
pin = "GPIO4"
pull = "up"

[camera.gate]
driver = "pattern"

"""
MOTOR = '[model.motor]\nbundle = "vibration-lstm"\n'


def loaded(folder: Path, model: str) -> Loaded:
    (folder / "reflexd.toml").write_text(HEAD + model)
    return load(folder / "reflexd.toml")


def said(folder: Path, model: str) -> str:
    """Give the errors."""
    with pytest.raises(ConfigError) as caught:
        loaded(folder, model)
    return "\n".join(f"{one.line}:{one}" for one in caught.value.problems if one.severity == "error")


def test_the_bundle_says_the_window_and_the_files_may_say_another(tmp_path: Path) -> None:
    window = loaded(tmp_path, MOTOR + 'sensors = ["vibration"]').settings.model["motor"].window
    assert (window.rate_hz, window.length, window.hop, window.gap_ms) == (100, 100, 50, 40)
    other = loaded(tmp_path, MOTOR + 'sensors = ["tilt", "spare"]\nwindow = { rate_hz = 50, length = 60 }').settings
    window = other.model["motor"].window
    assert (window.rate_hz, window.length, window.hop, window.gap_ms) == (50, 60, 30, 80)
    other = loaded(tmp_path, MOTOR + 'sensors = ["vibration"]\nwindow.hop = 20\nwindow.gap_ms = 200').settings
    window = other.model["motor"].window
    assert (window.length, window.hop, window.gap_ms, window.hop_s) == (100, 20, 200, 0.2)


@pytest.mark.parametrize(("model", "words"), [
    (MOTOR, "model.motor: sensors is missing"),
    (MOTOR + 'camera = "gate"',
     'the task sequence watches sensors, not a camera, found "gate"; write sensors = ["NAME"] instead'),
    (MOTOR + 'camera = "gate"\nsensors = ["vibration"]', "watches sensors, not a camera, found \"gate\"; remove it"),
    ('[model.m]\nbundle = "meter"\nregions = [[0.1, 0.1, 0.1, 0.2]]\nsensors = ["vibration"]',
     'the task regions watches a camera, not sensors, found a list of 1; write camera = "NAME" instead'),
    ('[model.m]\nbundle = "meter"\nregions = [[0.1, 0.1, 0.1, 0.2]]', "model.m: camera is missing"),
    ('[model.m]\nbundle = "meter"\nregions = [[0.1, 0.1, 0.1, 0.2]]\ncamera = "gate"\nwindow.hop = 3',
     "a window goes with sensors"),
    (MOTOR + 'sensors = ["vibartion"]', 'there is no sensor called "vibartion"'),
    (MOTOR + 'sensors = ["vibartion"]', 'did you mean "vibration"?'),
    (MOTOR + 'sensors = ["tilt", "tilt"]', '"tilt" is named twice'),
    (MOTOR + 'sensors = ["tilt"]',
     'wants 3 numbers of each moment (x, y, z), and the sensors give 2, found in_accel_x, in_accel_y'),
    (MOTOR + 'sensors = ["tilt", "door"]', "this gpio-input is true or false, and a window has numbers"),
    (MOTOR + 'sensors = ["tilt", "slow"]', '"slow" is read each 100 ms, and a pause over gap_ms = 40 begins the window anew'),
    (MOTOR + 'sensors = ["vibration"]\nwindow.gap_ms = 15', "must be at least two samples, 20 ms, found 15; raise it"),
    (MOTOR + 'sensors = ["vibration"]\nwindow.gap_ms = 10001', '"vibration" is unknown after max_age_ms = 10000, which is less'),
    (MOTOR + 'sensors = ["vibration"]\nwindow = { rate_hz = 100000, length = 100000, hop = 100000, gap_ms = 9000 }',
     "a window would keep 6,000,000 numbers"),
    (MOTOR + 'sensors = ["vibration"]\nwindow.rate_hz = 0', "must be greater than 0"),
    (MOTOR + 'sensors = ["vibration"]\nwindow.lenght = 5', 'did you mean "length"?'),
    (MOTOR + 'sensors = "vibration"', "must be a list"),
    ('[model.m]\nbundle = "nothing-like-it"\nsensors = ["vibration"]\ncamera = "gate"',
     "a model watches a camera or sensors, found both"),
    ('[model.m]\nbundle = "nothing-like-it"', "or sensors for a network of readings"),
])
def test_each_error_names_its_place_and_a_remedy(tmp_path: Path, model: str, words: str) -> None:
    found = said(tmp_path, model)
    assert words in found
    assert "; " in found


def test_a_bare_file_does_not_say_its_window(tmp_path: Path, root: Path) -> None:
    file = root / "tests" / "models" / "networks" / "series" / "rnn.tflite"
    found = said(tmp_path, f'[model.m]\nbundle = "{file}"\nsensors = ["vibration"]')
    assert 'window.rate_hz is missing, and the bundle "rnn" does not say it; add window.rate_hz' in found
    assert "window.length is missing" in found

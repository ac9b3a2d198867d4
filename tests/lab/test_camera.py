"""A camera of the kernel's, a pin and a network in one running service, within its sandbox.

vivid shows bit for bit what it is given: the recording of a meter that ./scripts/try uses, from the begin of the leak.
It is played at half its speed, because an emulated computer reads some pictures a second only.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.conftest import ROOT, watched
from tests.lab.machine import Machine
from tests.lab.service import Service

GUEST = Path(__file__).parent / "guest"
AWAY, VALVE = 4, 17
RECORDING = "/usr/share/doc/reflexd/examples/meter/meter.avi"
LEAK_AT_S = 5
SPEED = 0.5
RATE_HZ = 1             # the camera gives six, at random; three seconds without any are a fault of the camera
MAX_AGE_MS = 5000       # where everything takes ten times as long, a picture may too


def configuration() -> str:
    """Take the example for a USB camera, with pins and a camera that exist here."""
    text = (ROOT / "docs" / "examples" / "meter" / "usb.toml").read_text()
    camera = (f'device = "/dev/video10"\nsize_px = [640, 480]\nformat = "RGB3"\nrate_hz = {RATE_HZ}\n'
              f"max_age_ms = {MAX_AGE_MS}\nfrozen_after_s = 0\n")     # what is played stands still, bit for bit
    edits = [
        (r"\[daemon\]\nsocket.*\n", ""),
        (r"\[gpio\]\nfactory.*\n", ""),
        (r"device = .*\nsize_px.*\n", camera),
        (r'driver = "scripted".*\npath.*\n', f'driver = "gpio-input"\npin = "GPIO{AWAY}"\npull = "down"\n'),
        ("rising_for_s = 2", "rising_for_s = 2, pause_s = 4"),      # half as fast, and seen in steps: it seems to pause
    ]
    for pattern, new in edits:
        text, count = re.subn(pattern, new, text)
        assert count == 1, pattern
    return text + '\n[sensor.probe]\ndriver = "lab-probe"\n'


@pytest.fixture(scope="module")
def watching(machine: Machine) -> Iterator[Service]:
    """Give a service that watches a meter, with a driver in it that tries what is forbidden."""
    one = Service(machine)
    one.forget()
    one.devices("pull")
    one.must("lab-devices camera")
    one.install_driver("lab_probe", (GUEST / "lab_probe.py").read_text(), "reflexd.sensors", "lab-probe")
    # the permissions of files would refuse nothing here: what refuses is the sandbox
    one.must("mkdir -p /etc/open-to-all; chmod 777 /etc/open-to-all; chmod 666 /dev/hwrng")
    one.start(configuration())
    yield one
    one.run("systemctl stop lab-play")
    one.forget()


def test_pictures_given_to_a_camera_lead_to_a_level_by_the_shipped_network(
        watching: Service, request: pytest.FixtureRequest) -> None:
    with watched(watching, request):
        watching.put("/run/lab-play.py", (GUEST / "play.py").read_text())
        player = f"env PYTHONPATH=/usr/lib/reflexd python3 /run/lab-play.py {RECORDING} {LEAK_AT_S} {SPEED}"
        watching.must("systemd-run --quiet --collect --unit=lab-play sh -c "
                      f"'{player} | v4l2-ctl -d /dev/video11 --stream-out-mmap --stream-from=-'")
        watching.until("the player plays", lambda: watching.run("pgrep -x v4l2-ctl").status == 0)
        assert watching.level(VALVE) == 0, "somebody is at home"
        watching.pull(AWAY, "up")
        took = watching.until("the valve closes", lambda: watching.level(VALVE) == 1, 8)
        print(watching.must("reflexctl status"))
        print(f"the valve closed {took:.0f} s after the last one left")
        watching.until("the log tells of it", lambda: bool(watching.entries("REFLEXD_OUTPUT=valve")))
        entry = watching.entries("REFLEXD_OUTPUT=valve")[0]
        print(entry["MESSAGE"])
        assert (entry["REFLEXD_EVENT"], entry["REFLEXD_RULE"]) == ("output", "water flows while away")


def test_the_process_that_does_so_is_refused_a_network_a_file_and_a_foreign_device(
        watching: Service, request: pytest.FixtureRequest) -> None:
    with watched(watching, request):
        outside = watching.must("cd /; runuser -u reflexd -- env PYTHONPATH=/usr/lib/reflexd python3 -B -c "
                                "'import json, lab_probe; print(json.dumps(lab_probe.probe()))'")
        assert set(json.loads(outside).values()) == {"allowed"}, outside
        inside = json.loads(watching.must("cat /run/reflexd/probe.json"))
        print(inside)
        assert len(inside) == 5
        assert "allowed" not in inside.values()
        assert inside["configuration"] == "Read-only file system"
        assert watching.show("ActiveState") == "active"

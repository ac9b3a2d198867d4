"""From the package as it was installed to a line that moves, by the command of docs/setup.md."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager

from tests import pages
from tests.lab.service import CONFIG, Service
from tests.lab.test_docs import SETUP

BUTTON, LAMP = 4, 17
PULL = f"/run/lab-chip/sim_gpio{BUTTON}/pull"


@contextmanager
def pressing(service: Service) -> Iterator[None]:
    """Have somebody press the button again and again."""
    loop = f"while :; do echo pull-down > {PULL}; sleep 2; echo pull-up > {PULL}; sleep 2; done"
    service.must(f"systemd-run --quiet --collect --unit=lab-presser sh -c '{loop}'")
    try:
        yield
    finally:
        service.must(f"systemctl stop lab-presser; echo pull-up > {PULL}")


def assert_decided(said: str) -> None:
    """Look at the self-test and at the service; a guest that is starved for 10 s is told of, and still has to decide once."""
    decided = len(re.findall(r"first decision \d+\.\d s after the start: lamp", said))
    assert decided >= 1, said
    assert decided + said.count("no decision within 10 s") == 2, said


def test_two_commands_lead_from_the_package_to_a_line_that_moves(service: Service) -> None:
    command, = (command for block in pages.run_in(SETUP, "device") for command in block.commands)
    service.devices("keep", line4="up")
    service.must("lab-devices camera")
    service.must("install -m 644 /usr/share/reflexd/reflexd.toml /etc/reflexd/; systemctl start reflexd", 60)
    with pressing(service):
        said = service.must(command.removeprefix("sudo "), 240)
        print(said)
    assert re.search(r"camera front: RUN, \d+\.\d frames a second", said)
    assert re.search(r"reflexd.service: active and READY after \d+\.\d s", said)
    assert_decided(said)
    assert said.rstrip().endswith("sudo reflexctl arm")
    assert "P   N   G" in service.must("head -c 8 /var/lib/reflexd/setup-front.png | od -An -c")
    tables = tomllib.loads(service.must(f"cat {CONFIG}"))
    assert tables["camera"]["front"]["device"].startswith("/dev/v4l/by-"), tables
    assert (tables["sensor"]["button"]["pin"], tables["actuator"]["lamp"]["pin"]) == ("GPIO4", "GPIO17")
    assert service.show("ActiveState") == "active"
    assert service.show("UnitFileState") == "enabled"

    service.pull(BUTTON, "down")
    service.until("it is decided", lambda: status(service)["outputs"]["lamp"]["active"])
    assert service.level(LAMP) == 0, "nothing is driven before it is armed"
    service.pull(BUTTON, "up")
    service.until("it is over", lambda: not status(service)["outputs"]["lamp"]["active"])

    print(service.must("reflexctl arm"))
    assert service.level(LAMP) == 0
    service.pull(BUTTON, "down")
    took = service.until("the lamp goes on", lambda: service.level(LAMP) == 1)
    print(f"the lamp was seen to be on {took:.1f} s after the press")
    service.pull(BUTTON, "up")
    service.until("the lamp goes off", lambda: service.level(LAMP) == 0)


def status(service: Service) -> dict:
    return json.loads(service.must("reflexctl status --json"))


def test_a_service_with_devices_goes_on_when_setup_is_refused_or_fails(service: Service) -> None:
    service.devices("keep", line4="up")
    service.must("install -m 644 /usr/share/reflexd/reflexd.toml /etc/reflexd/; systemctl start reflexd", 60)
    service.must("reflexctl setup --yes --camera none", 240)
    before = service.must(f"cat {CONFIG}")
    refused = service.run("reflexctl setup --yes", 60)
    assert (refused.status, "--force" in refused.err) == (1, True), refused
    assert service.must(f"cat {CONFIG}") == before
    service.put("/srv/broken.avi", "no video")
    failed = service.run("reflexctl setup --yes --force --camera /srv/broken.avi", 240)
    assert failed.status == 1, failed
    assert "camera front" in failed.err
    assert service.must(f"cat {CONFIG}") == before
    assert service.show("ActiveState") == "active"

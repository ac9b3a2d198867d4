"""The documents on a device: every page's commands run as root, in their order, on a freshly installed service.

A page that changes its configuration, or wants something to happen, has a service for itself, and its button is pressed; the
others share one. Where a page has a camera, there is one. Lines keep their level as on a Pi.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import pages
from tests.lab.conftest import watched
from tests.lab.machine import Machine, Said
from tests.lab.service import CONFIG, Service
from tests.lab.test_reflexes import BUTTON_AND_LAMP
from tests.pages import PAGES, ROOT, Block

BUTTON, RELAY = 4, 17
FIRST_CONFIG = "/usr/share/reflexd/reflexd.toml"
LIMIT_S = 60
ENDED = 124                  # status of timeout(1) for what it ended
TOOLS = "/run/lab-docs"      # where sudo is, that need not be on a device of one's own
SUDO = '#!/bin/sh\nwhile [ "${1#-}" != "$1" ]; do shift; done\nexec "$@"\n'
CAMERA = "/dev/video0"
PULLS = {"wiring.md": {"line17": "up"}}      # the resistor outside
FIRST_RULE, WIRING, REPLAY, SETUP = (ROOT / "docs" / name for name in ("first-rule.md", "wiring.md", "replay.md", "setup.md"))
ALONE = (FIRST_RULE, WIRING, REPLAY, SETUP)          # the last by test_setup.py
SHARING = [page for page in PAGES if page not in ALONE and pages.run_in(page, "device")]


def prepare(service: Service, page: Path) -> None:
    """Have a device as after the installation, with a button and, if the page wants one, a camera."""
    service.devices("keep", line4="up", **PULLS.get(page.name, {}))
    service.put(f"{TOOLS}/sudo", SUDO)
    service.must(f"chmod 755 {TOOLS}/sudo; cp {FIRST_CONFIG} {CONFIG}")
    if any(CAMERA in block.text for block in pages.run_in(page, "device")):
        service.must(f"lab-devices camera; ln -sf video10 {CAMERA}")
    service.must("systemctl start reflexd", LIMIT_S)


def do(service: Service, block: Block) -> Said | None:
    """Write a file, or run the commands; the first that fails ends them."""
    if "file" in block.options:
        service.put(block.options["file"], block.text)
        return None
    service.put(f"{TOOLS}/commands", block.text)
    timeout = block.options.get("timeout", "")
    ending = f"timeout {float(timeout) * service.machine.pace:g} " if timeout else ""
    said = service.run(f"cd /root && PATH={TOOLS}:$PATH USER=root {ending}bash -eu {TOOLS}/commands", LIMIT_S)
    print(f"{block}\n{block.text}{said.out}{said.err}")
    assert said.status == 0 or (timeout and said.status == ENDED), f"{block}: status {said.status}\n{service.log()}"
    return said


@pytest.fixture(scope="module")
def installed(machine: Machine) -> Iterator[Service]:
    """Give a freshly installed service for all pages that write no file."""
    one = Service(machine)
    one.forget()
    prepare(one, ROOT / "README.md")
    yield one
    one.forget()


@pytest.mark.parametrize("page", SHARING, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_commands_for_a_device_run_as_they_are_written(
        installed: Service, page: Path, request: pytest.FixtureRequest) -> None:
    blocks = pages.run_in(page, "device")
    assert not any("file" in block.options for block in blocks), "it needs a service for itself, and a test below"
    with watched(installed, request):
        for block in blocks:
            do(installed, block)


def test_the_lamp_of_the_first_rule_follows_the_button_once_it_is_armed(service: Service) -> None:
    prepare(service, FIRST_RULE)
    blocks = pages.run_in(FIRST_RULE, "device")
    assert any("longer.toml" in block.options.get("file", "") for block in blocks), "the lamp would not be tried"
    for block in blocks:
        if "reflexctl arm" in block.text and block.place:
            service.pull(BUTTON, "down")
            service.until("the log tells of the press", lambda: bool(service.entries("REFLEXD_OUTPUT=lamp")))
            assert service.level(RELAY) == 0, "it is disarmed"
            service.pull(BUTTON, "up")
        if "longer.toml" in block.options.get("file", ""):
            assert_the_lamp_follows(service)
        do(service, block)


def assert_the_lamp_follows(service: Service) -> None:
    service.pull(BUTTON, "down")
    service.until("the lamp goes on", lambda: service.level(RELAY) == 1)
    service.pull(BUTTON, "up")
    service.until("the lamp goes off", lambda: service.level(RELAY) == 0)


def test_the_relay_of_the_wiring_falls_off_on_every_way_out(service: Service) -> None:
    prepare(service, WIRING)
    for block in pages.run_in(WIRING, "device"):
        do(service, block)
        if "reflexctl arm" in block.text and block.place:
            assert service.level(RELAY) == 1, "high is off"
            service.pull(BUTTON, "down")
            service.until("the relay pulls in", lambda: service.level(RELAY) == 0)
    assert service.show("ActiveState") == "inactive"
    assert service.level(RELAY) == 1


def test_what_a_button_said_is_recorded_and_replayed(service: Service) -> None:
    service.devices("keep")
    service.put(f"{TOOLS}/sudo", SUDO)
    service.must(f"chmod 755 {TOOLS}/sudo")
    service.start(BUTTON_AND_LAMP)
    service.pull(BUTTON, "up")
    service.until("the lamp goes on", lambda: service.level(RELAY) == 1)
    said = "".join(do(service, block).out for block in pages.run_in(REPLAY, "device"))
    assert 'rule "lamp on a button" fired once' in said
    assert "identical: sha256" in said

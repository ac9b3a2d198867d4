"""The documents on a device: every page's commands run as root, in their order, on a freshly installed service.

The button of the pages is not pressed, and where they have a camera, there is one. Lines keep their level as on a Pi.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import pages
from tests.lab.machine import Said
from tests.lab.service import CONFIG, Service
from tests.pages import PAGES, ROOT, Block

BUTTON, RELAY = 4, 17
FIRST_CONFIG = "/usr/share/reflexd/reflexd.toml"
LIMIT_S = 60
ENDED = 124                  # status of timeout(1) for what it ended
TOOLS = "/run/lab-docs"      # where sudo is, that need not be on a device of one's own
SUDO = '#!/bin/sh\nwhile [ "${1#-}" != "$1" ]; do shift; done\nexec "$@"\n'
CAMERA = "/dev/video0"
PULLS = {"wiring.md": {"line17": "up"}}      # the resistor outside


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


@pytest.mark.parametrize("page", [page for page in PAGES if pages.run_in(page, "device")],
                         ids=lambda page: str(page.relative_to(ROOT)))
def test_the_commands_for_a_device_run_as_they_are_written(service: Service, page: Path) -> None:
    prepare(service, page)
    for block in pages.run_in(page, "device"):
        do(service, block)


def test_the_lamp_of_the_first_rule_follows_the_button_once_it_is_armed(service: Service) -> None:
    page = ROOT / "docs" / "first-rule.md"
    prepare(service, page)
    for block in pages.run_in(page, "device"):
        if "longer.toml" in block.options.get("file", ""):
            break
        if "reflexctl arm" in block.text and block.place:
            service.pull(BUTTON, "down")
            service.until("the log tells of the press", lambda: bool(service.entries("REFLEXD_OUTPUT=lamp")))
            assert service.level(RELAY) == 0, "it is disarmed"
            service.pull(BUTTON, "up")
        do(service, block)
    service.pull(BUTTON, "down")
    service.until("the lamp goes on", lambda: service.level(RELAY) == 1)
    service.pull(BUTTON, "up")
    service.until("the lamp goes off", lambda: service.level(RELAY) == 0)


def test_the_relay_of_the_wiring_falls_off_on_every_way_out(service: Service) -> None:
    page = ROOT / "docs" / "wiring.md"
    prepare(service, page)
    for block in pages.run_in(page, "device"):
        do(service, block)
        if "reflexctl arm" in block.text and block.place:
            assert service.level(RELAY) == 1, "high is off"
            service.pull(BUTTON, "down")
            service.until("the relay pulls in", lambda: service.level(RELAY) == 0)
    assert service.show("ActiveState") == "inactive"
    assert service.level(RELAY) == 1

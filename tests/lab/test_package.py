"""apt in the guest: from a Debian that never had reflexd to a line that moves, by the README's commands; and back again."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import pytest

from tests import pages
from tests.lab.service import CONFIG, Service
from tests.lab.test_setup import BUTTON, LAMP, assert_decided, pressing, status
from tests.pages import ROOT

PACKAGE = "/var/cache/lab/reflexd.deb"       # where the lab put it, and a later build of it
NEWER = "/var/cache/lab/newer.deb"
INSTALL_S = 240
BOOKKEEPING = ("/proc", "/sys", "/dev", "/run", "/tmp", "/var/tmp", "/root", "/var/cache", "/var/log", "/var/lib/apt",
               "/var/lib/dpkg", "/var/lib/systemd", "/etc/.pwd.lock")
OURS = ("/etc/reflexd", "/var/lib/reflexd", "/etc/systemd/system/multi-user.target.wants/reflexd.service")


@pytest.fixture
def bare(service: Service, request: pytest.FixtureRequest) -> Iterator[Service]:
    """Give a guest without reflexd; afterwards it is there again where somebody may want it before the next boot."""
    service.must("apt-get purge -q -y reflexd", INSTALL_S)
    yield service
    if request.session.items[-1] is request.node and not request.config.getoption("--lab-running"):
        service.must("rm -f /opt/.reflexd-made-for")      # the next scripts/lab up installs it
    else:
        service.must(f"apt-get purge -q -y reflexd; apt-get install -q -y {PACKAGE}", INSTALL_S)


def files(service: Service) -> set[str]:
    """List what there is, but for bookkeeping and what lies in memory."""
    left_out = " -o ".join(f"-path {name}" for name in BOOKKEEPING)
    return set(service.must(f"find / -xdev \\( {left_out} \\) -prune -o -print", 60).splitlines())


def ours(name: str) -> bool:
    return name.startswith(OURS)


def test_from_a_system_that_never_had_it_to_a_line_that_moves_and_back_again(bare: Service) -> None:
    before = files(bare)
    by_the_readme(bare)
    owned = set(bare.must("dpkg -L reflexd").splitlines())
    added = {name for name in files(bare) - before - owned if "/__pycache__" not in name}
    assert all(ours(name) for name in added), added
    mine = bare.must(f"cat {CONFIG}")
    upgraded(bare)
    assert bare.must(f"cat {CONFIG}") == mine

    bare.must("apt-get remove -q -y reflexd", INSTALL_S)
    assert bare.level(LAMP) == 0, "its end left the line safe"
    assert bare.must(f"cat {CONFIG}") == mine
    left = files(bare) - before
    assert all(ours(name) for name in left), left
    assert "/var/lib/reflexd/arming" in left

    bare.must("apt-get purge -q -y reflexd", INSTALL_S)
    after = files(bare)
    assert (after - before, before - after) == (set(), set())
    assert bare.run("systemctl cat reflexd").status != 0


def by_the_readme(bare: Service) -> None:
    """Do what the README says for a Pi; in the end the button is pressed."""
    install, setup, arm = commands_for_a_pi()
    bare.devices("keep", line4="up")
    began = time.monotonic()
    bare.must(install.replace("./reflexd_*.deb", PACKAGE), INSTALL_S)
    installed = time.monotonic() - began
    assert (bare.show("ActiveState"), bare.show("UnitFileState")) == ("active", "enabled")
    with pressing(bare):
        said = bare.must(setup, INSTALL_S)
    whole = time.monotonic() - began
    print(said)
    assert re.search(r"reflexd.service: active and READY after \d+\.\d s", said)
    assert_decided(said)
    print(f"apt: {installed:.0f} s; to the end of setup, with its first dry-run decision: {whole:.0f} s")
    assert status(bare)["dry_run"] == "disarmed, until reflexctl arm"
    assert bare.level(LAMP) == 0
    bare.must(arm)
    bare.pull(BUTTON, "down")
    bare.until("the lamp goes on", lambda: bare.level(LAMP) == 1)


def commands_for_a_pi() -> list[str]:
    """Give what the README says is typed on a Pi: two commands to make it decide, one to let it act; without sudo."""
    said = [command for block in pages.blocks(ROOT / "README.md") for command in block.commands if command.startswith("sudo ")]
    assert [command.split()[1] for command in said] == ["apt-get", "reflexctl", "reflexctl"], said
    return [command.removeprefix("sudo ").replace("install ./", "install -y ./") for command in said]


def upgraded(bare: Service) -> None:
    """Upgrade while it drives an output: safe meanwhile, and afterwards as before."""
    began, pid = bare.must("date +%s"), bare.show("MainPID")
    bare.must(f"apt-get install -q -y {NEWER}", INSTALL_S)
    assert bare.show("MainPID") != pid, "it was started anew"
    bare.pull(BUTTON, "down")      # a line that is claimed anew has the pull of its configuration
    bare.until("it is armed as before, and the button pressed", lambda: bare.level(LAMP) == 1)
    assert "every output safe, leaving" in bare.must(f"journalctl --no-pager -u reflexd --since @{began.strip()}")

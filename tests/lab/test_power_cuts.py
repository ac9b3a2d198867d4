"""The power is cut while the service stores events, with durability "full": none is lost that counted as stored.

What ends is the machine, and what it had not synced is gone. QEMU with an ordinary disk would not show that: when it is killed,
what the guest wrote is in this computer's page cache, synced or not. So the guest's disk is ours (disk.py): it forgets at the
cut what no flush has covered, or a part of it, or tears it. In a last cut with durability "normal" events are lost, as they
have to be, or nothing would be shown. The disk alone is tried in tests/system/test_forgetful_disk.py.

What counts as stored is what left the guest before the cut: what `reflexctl status` counts, and what `reflexctl events` shows.
The guest is a small one (power.py), for each cut takes a boot; in most of them the service's writer works alone. Some cuts
come at a random moment, most instead of a random write or flush of the disk, which are some milliseconds in a second, and the
ones that matter.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.disk import Disk, Served
from tests.lab.machine import Machine
from tests.lab.power import BOOT_S, Small, made, serve

CUTS = 5
MOMENTS_S = 2.0          # from the first events on
REQUESTS = 100           # writes and flushes of many commits, and of taking the log over into the file
AT_A_MOMENT = 0.3        # the share of such cuts
KEPT = (0.0, 0.0, 0.5)   # the share of what was not flushed that has reached the medium


class Acknowledged:
    """What left the guests before their ends."""

    def __init__(self) -> None:
        self.shown: set[str] = set()
        self.stored: dict[str, tuple[int, str]] = {}       # of each run: how many, and the newest
        self.evidence: set[str] = set()                    # folders that another one came after

    def take(self, words: list[str]) -> None:
        """Take in what a guest tells."""
        if words[0] == "shown":
            self.shown.update(words[1:])
        elif words[0] == "stored":
            self.stored[words[2].rpartition("-")[0]] = (int(words[1]), words[2])

    def lost(self, there: set[str]) -> set[str]:
        """Give what is not in the store; of a run that misses some of a count, its newest."""
        missing = self.shown - there
        for run, (count, newest) in self.stored.items():
            if newest not in there or sum(one.startswith(f"{run}-") for one in there) < count:
                missing.add(newest)
        return missing


def follow(guest: Small, limit_s: float, acknowledged: Acknowledged) -> None:
    """Take in what it tells, so long at most or until it is gone."""
    for words in guest.lines(limit_s):
        acknowledged.take(words)


def examine(guest: Small, acknowledged: Acknowledged) -> set[str]:
    """Look at the store after a boot, once the service has added to it; give what is lost."""
    folders = set(guest.wait_for("evidence"))
    assert acknowledged.evidence <= folders, "evidence that was kept is kept"
    acknowledged.evidence = folders
    assert guest.wait_for("broken") == [], "no half folder"
    assert [name for name in guest.wait_for("kept") if "damaged" in name] == []
    whole, *there = guest.wait_for("whole")
    assert whole == "ok", guest.console
    return acknowledged.lost(set(there))


def cut_somewhere(guest: Small, served: Served, chance: random.Random, acknowledged: Acknowledged) -> str:
    """Cut the power at a random moment, or instead of a random request of the disk; say where it was."""
    if chance.random() < AT_A_MOMENT:
        moment_s = chance.uniform(0, MOMENTS_S)
        follow(guest, moment_s, acknowledged)
        where = f"after {moment_s:.2f} s"
    else:
        request = chance.randrange(REQUESTS)
        served.cut_after(request, guest.end)
        follow(guest, BOOT_S * guest.pace, acknowledged)
        assert served.is_out, "it writes no more"
        where = f"instead of request {request}"
    guest.end()
    follow(guest, BOOT_S, acknowledged)      # what had left it already
    return where


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """Give the disk, new."""
    with serve(Disk(made(tmp_path), random.Random(5)), tmp_path) as one:
        yield one


@pytest.mark.fault("F71", bound="at once", outcome="with full durability no event is lost that was told as stored")
def test_f71_a_power_cut_at_any_moment_loses_no_event_that_counts_as_stored(
        machine: Machine, served: Served, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    cuts = 10 * CUTS if request.config.getoption("--long") else CUTS
    chance, acknowledged = random.Random(3), Acknowledged()
    for cut in range(cuts):
        with Small(tmp_path, machine.pace, "full", whole=cut % CUTS in (0, 3)) as guest:
            assert examine(guest, acknowledged) == set(), "they counted as stored"
            where = cut_somewhere(guest, served, chance, acknowledged)
        before, unflushed = served.disk.lost, served.disk.unflushed
        served.cut(chance.choice(KEPT))
        print(f"{cut}: {time.monotonic() - guest.began:.0f} s after its start, {where}: of {unflushed} writes that were not "
              f"flushed {served.disk.lost - before} are lost; {len(acknowledged.shown)} events have to be there")
    assert acknowledged.evidence, "some was kept, and looked at after a cut"
    with Small(tmp_path, machine.pace, "normal", whole=False) as guest:
        assert examine(guest, acknowledged) == set(), "they counted as stored"
        follow_until_some_are_not_flushed(guest, served, acknowledged)
    served.cut(0)
    with Small(tmp_path, machine.pace, "normal", whole=False) as guest:
        lost_events = examine(guest, acknowledged)
    print(f"with normal durability: {len(lost_events)} events are lost in one cut")
    assert lost_events, "such a cut loses what was not synced, or all this shows nothing"


def follow_until_some_are_not_flushed(guest: Small, served: Served, acknowledged: Acknowledged) -> None:
    """Take in what it tells, until more counts as stored than before and nothing was flushed between."""
    flushed = -1
    for words in guest.lines(BOOT_S * guest.pace):
        acknowledged.take(words)
        if words[0] == "stored" and served.disk.flushes == flushed:
            return
        flushed = served.disk.flushes
    raise AssertionError("whatever counts as stored was flushed")

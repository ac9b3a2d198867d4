"""F63 with real sockets and a real process: a log or a manager that does not listen costs lines, and nothing else.

What it costs in time is measured by scripts/bench journal; here nothing is timed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.system.talkative import Talkative


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Talkative]:
    made = Talkative(tmp_path)
    yield made
    made.close()


def until(daemon: Talkative, true: Callable[[Any], bool], what: str) -> Any:
    """Wait until the daemon's counts are so; a generous bound, since only that it comes matters."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        counts = daemon.ask()
        if true(counts):
            return counts
        time.sleep(0.01)
    raise AssertionError(f"{what}: {daemon.ask()}")


def goes_on(daemon: Talkative) -> Any:
    """The loop cycles, decides, and moves the pin."""
    before = daemon.ask()
    return until(daemon, lambda now: now["cycles"] > before["cycles"] + 100 and now["decided"] > before["decided"] + 1000
                 and now["moved"] > before["moved"] + 100, "the loop stands still")


@pytest.mark.fault("F63", bound="at once", outcome="outputs and rules go on; lines are dropped and counted")
def test_f63_a_journal_that_is_not_read_or_gone_stops_nothing_and_is_told_what_it_missed(daemon: Talkative) -> None:
    until(daemon, lambda _: daemon.journal.count > 100, "nothing is said")
    for disturb in (daemon.journal.stall, daemon.journal.go):
        before = daemon.ask()["dropped"]
        disturb()
        until(daemon, lambda now, before=before: now["dropped"] > before + 500, "nothing is dropped")    # type: ignore[misc]
        goes_on(daemon)
        daemon.journal.come_back()
        missed = daemon.ask()["dropped"]
        until(daemon, lambda _, missed=missed: daemon.journal.told_dropped >= missed, "the loss is not told")   # type: ignore[misc]
        read = daemon.journal.count
        until(daemon, lambda _, read=read: daemon.journal.count > read + 100, "nothing is said any more")   # type: ignore[misc]
    assert daemon.end()["status"] == 0


def test_f63_a_manager_whose_socket_is_full_stops_nothing_and_hears_again(daemon: Talkative) -> None:
    until(daemon, lambda _: daemon.manager.count > 3, "the manager is told nothing")
    daemon.manager.fill()
    refused = daemon.ask()["refused"]
    until(daemon, lambda now: now["refused"] > refused + 3, "nothing is refused")
    goes_on(daemon)
    daemon.manager.come_back()
    heard = daemon.manager.count
    until(daemon, lambda _: daemon.manager.count > heard + 20, "the manager hears nothing any more")    # what waited, and more
    assert daemon.end()["status"] == 0


@pytest.mark.fault("F63", bound="at a stop", outcome="ends safe and in time")
def test_f63_with_nobody_to_listen_it_ends_safe_and_in_time(daemon: Talkative) -> None:
    goes_on(daemon)
    daemon.journal.stall()
    daemon.manager.fill()
    until(daemon, lambda now: now["dropped"] > 500, "nothing is dropped")
    assert daemon.end()["status"] == 0

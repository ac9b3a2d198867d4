"""What the service manager is told, and that a manager which does not listen holds nobody up."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reflexd.notify import Notifier
from tests.daemon.test_faults import CONFIG, Devices
from tests.stopwatch import within

S = 1_000_000_000


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    """A socket such as systemd listens on."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(str(tmp_path / "notify"))
        server.setblocking(False)
        yield server


def told(manager: socket.socket) -> list[str]:
    got = []
    while True:
        try:
            got.append(manager.recv(4096).decode())
        except BlockingIOError:
            return got


def test_ready_is_said_once(manager: socket.socket, tmp_path: Path) -> None:
    notifier = Notifier(str(tmp_path / "notify"))
    notifier.ready()
    notifier.ready()
    assert told(manager) == ["READY=1"]
    notifier.close()


def test_the_watchdog_is_fed_four_times_within_its_time(manager: socket.socket, tmp_path: Path) -> None:
    notifier = Notifier(str(tmp_path / "notify"), watchdog_ns=2 * S)
    for tenth in range(1, 41):
        notifier.feed(tenth * S // 10)
    assert told(manager) == ["WATCHDOG=1"] * 8
    notifier.close()


def test_without_a_watchdog_nothing_is_fed(manager: socket.socket, tmp_path: Path) -> None:
    notifier = Notifier(str(tmp_path / "notify"))
    notifier.feed(S)
    assert told(manager) == []
    notifier.close()


def test_the_state_is_told_when_it_changed_and_once_a_second_at_most(manager: socket.socket, tmp_path: Path) -> None:
    notifier = Notifier(str(tmp_path / "notify"))
    for now, text in ((1.0, "RUN"), (1.5, "SAFE"), (2.0, "SAFE"), (3.5, "SAFE")):
        notifier.tell(text, round(now * S))
    assert told(manager) == ["STATUS=RUN", "STATUS=SAFE"]
    notifier.close()


def test_a_manager_that_does_not_read_costs_messages_and_no_time(manager: socket.socket, tmp_path: Path) -> None:
    notifier = Notifier(str(tmp_path / "notify"), watchdog_ns=4)
    for now in range(1, 5000):
        notifier.feed(now)
    assert notifier.refused > 0
    assert told(manager)
    notifier.feed(10_000)
    assert told(manager) == ["WATCHDOG=1"], "what was refused is said again"
    notifier.close()


def test_without_a_manager_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    notifier = Notifier.from_environment()
    notifier.ready()
    notifier.feed(S)
    assert notifier.refused == 0


def test_a_watchdog_of_another_process_is_not_ours(
        monkeypatch: pytest.MonkeyPatch, manager: socket.socket, tmp_path: Path) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    monkeypatch.setenv("WATCHDOG_USEC", "2000000")
    monkeypatch.setenv("WATCHDOG_PID", "1")
    notifier = Notifier.from_environment()
    notifier.feed(S)
    assert told(manager) == []
    notifier.close()


def test_nothing_is_active_before_the_manager_watches_also_where_a_camera_is_still_opened(
        manager: socket.socket, tmp_path: Path, start: Any, devices: Devices) -> None:
    devices["camera"].hangs, devices["sensor"].value = threading.Event(), True
    notifier = Notifier(str(tmp_path / "notify"), watchdog_ns=2 * S)
    daemon = start(CONFIG, notifier)
    within(5, lambda: devices["fan"].level == 1.0)
    assert "READY=1" in told(manager)
    assert daemon.status()["cameras"]["gate"]["state"] == "opening"
    devices["camera"].hangs.set()
    daemon.stop()
    notifier.close()

"""The shipped example on recordings with other seeds, leaks and rates, and on photographed digits."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.system.meter import REACTION_S, Meter


def watch(meters: list[Meter]) -> None:
    """Run the daemons side by side, each on its recording at its own pace."""
    for meter in meters:
        meter.draw()
    for first in range(0, len(meters), 5):
        running = [meter.start(13) for meter in meters[first:first + 5]]
        for daemon in running:
            said = daemon.communicate(timeout=60)[1]
            assert daemon.returncode == 0, said


def closed_once_in_the_leak(meter: Meter) -> str:
    """Say what was wrong; empty when the valve closed once, after the leak began and soon."""
    closings = meter.closings()
    told = f"seed {meter.seed}, leak of {meter.leak_rate}/s at {meter.leak_at} s, closed at {[round(at, 2) for at in closings]}"
    good = len(closings) == 1 and meter.leak_at < closings[0] < meter.leak_at + REACTION_S
    return "" if good else told


def test_the_valve_closes_once_and_only_in_the_leak_of_ten_recordings(tmp_path: Path) -> None:
    meters = [Meter.drawn_by_lot(tmp_path / str(seed), seed) for seed in range(100, 110)]
    watch(meters)
    assert [wrong for wrong in map(closed_once_in_the_leak, meters) if wrong] == []


@pytest.mark.parametrize("group", ["lcd2", "powermeter/emeter1"])
def test_the_valve_closes_on_photographed_digits_too(tmp_path: Path, shared: Path, group: str) -> None:
    """Digits of kinds of meter that the shipped network never saw in training."""
    meter = Meter(tmp_path, 7.0, 2.0, 3, ("--digits", str(shared / "data" / "meter_digits.npz"), "--group", group))
    watch([meter])
    assert closed_once_in_the_leak(meter) == ""

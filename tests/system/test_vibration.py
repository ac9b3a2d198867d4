"""The example of the motor, over a serial port and at its real rate: two networks, a daemon for each, at the same time."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.vibration import EXAMPLE, Watcher, recording

BUNDLES = ("vibration-lstm", "vibration-forest")
WINDOW, HOP = 100, 50                      # lines
START = 3000                               # lines until a daemon has started on a busy computer
STOP = WINDOW + 3 * HOP                    # a window of nothing else, and what two hits of three may take beyond it


@pytest.fixture(scope="module")
def watchers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Watcher]]:
    """Run the daemons until each lets its motor run."""
    folder = tmp_path_factory.mktemp("motors")
    running = [Watcher(folder / bundle, bundle) for bundle in BUNDLES]
    try:
        for one in running:
            one.within(START, lambda one=one: one.level() == 1.0)     # type: ignore[misc]
        yield running
    finally:
        assert [one.end() for one in running] == [0] * len(running)


def test_while_it_vibrates_as_it_should_the_motor_runs(watchers: list[Watcher]) -> None:
    before = [one.record() for one in watchers]
    watchers[0].within(START, lambda: watchers[0].motor.said > 2 * WINDOW + 2 * HOP)
    for one, then in zip(watchers, before, strict=True):
        found = one.status()["models"]["motor"]
        assert (found["sensors"], found["window"]["length"]) == (["vibration"], WINDOW)
        assert "stops it" not in one.log()
        assert one.record() == then or found["window"]["gaps"], "only a computer that was too busy for lines may interrupt it"
        one.within(START, lambda one=one: one.level() == 1.0)     # type: ignore[misc]


@pytest.mark.fault("F31", bound="1 s", outcome="the relay of a motor that is watched goes safe; on again after a whole window")
def test_f31_without_its_accelerometer_the_motor_stops_until_a_window_is_whole_again(watchers: list[Watcher]) -> None:
    for one in watchers:
        one.motor.plug(False)
    for one in watchers:
        one.within(START, lambda one=one: one.level() == 0.0)     # type: ignore[misc]
    for one in watchers:
        one.motor.be("normal")
        one.motor.plug(True)
        one.within(START, lambda one=one: one.level() == 1.0)     # type: ignore[misc]
        assert one.motor.said >= WINDOW, "nothing is known before"
        assert "vibration is required" in one.log()


def test_a_weight_on_a_blade_stops_the_motor_and_keeps_it_stopped(watchers: list[Watcher]) -> None:
    for one in watchers:
        one.motor.be("unbalance")
    for one in watchers:
        one.within(START, lambda one=one: 'rule "a weight on a blade stops it"' in one.log())     # type: ignore[misc]
        assert one.level() == 0.0
        assert one.motor.said <= STOP + 4 * HOP, "in lines of the motor: a busy computer adds to it"
    for one in watchers:
        one.motor.be("normal")
    watchers[0].within(START, lambda: watchers[0].motor.said > STOP)
    assert [one.level() for one in watchers] == [0.0, 0.0], "it vibrates no more, and still stands"


def test_the_recording_is_what_the_script_draws(tmp_path: Path) -> None:
    script = EXAMPLE.parents[2] / "scripts" / "draw-vibration"
    subprocess.run([sys.executable, str(script), "-o", str(tmp_path / "motor.csv")], check=True)
    drawn, shipped = ((folder / "motor.csv").read_text().splitlines() for folder in (tmp_path, EXAMPLE))
    numbers = [[[float(one) for one in line.split(",")] for line in lines[1:]] for lines in (drawn, shipped)]
    assert len(recording()) == len(numbers[0]) == len(numbers[1])
    worst = max(abs(one - other) for a, b in zip(*numbers, strict=True) for one, other in zip(a, b, strict=True))
    assert worst < 0.01, "another computer rounds otherwise"

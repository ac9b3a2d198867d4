"""Windows of readings: held against numpy's own interpolation, and against what a gap has to do."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf, nan
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reflexd.windows import MS, NS, Plan, Windows
from reflexd_drivers.base import Reading

BEGIN = 7_000_000_000
NUMBERS = st.floats(-1e3, 1e3)
Readings = Sequence[tuple[int, tuple[float, ...]]]


def plan(**changes: Any) -> Plan:
    """One number at 100 Hz."""
    return Plan(**{"widths": (1,), "rate_hz": 100, "length": 10, "hop": 5, "gap_ms": 100, **changes})


def reading(at: int, *numbers: float) -> Reading:
    return Reading(numbers[0], at, at, values=numbers)


def feed(windows: Windows, readings: Readings, place: int = 0) -> list[tuple[np.ndarray, int]]:
    """Add readings and take each window as soon as it is there."""
    found = []
    for at, numbers in readings:
        windows.add(place, reading(at, *numbers))
        while (taken := windows.take()) is not None:
            found.append((taken[0].copy(), taken[1]))
    return found


def times(steps_ms: Sequence[float]) -> np.ndarray:
    return BEGIN + np.cumsum([0, *(round(step * MS) for step in steps_ms)])


def average(begin: np.ndarray, end: np.ndarray, at: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Average the line through some points over spans of time: the reference, by trapezoids between all knees."""
    found = []
    for one, other in zip(begin, end, strict=True):
        knees = np.concatenate([[one], at[(at > one) & (at < other)], [other]])
        found.append(np.trapezoid(np.interp(knees, at, values), knees) / (other - one))
    return np.array(found)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.floats(5.1, 90), NUMBERS, NUMBERS), min_size=8, max_size=40))
def test_readings_as_rare_as_samples_or_rarer_are_joined_by_straight_lines(points: list[tuple[float, float, float]]) -> None:
    at = times([step for step, _, _ in points[1:]])
    values = np.array([numbers for _, *numbers in points])
    found = feed(Windows(plan(widths=(2,), length=1, hop=1)), list(zip(at.tolist(), map(tuple, values.tolist()), strict=True)))
    last = [taken for _, taken in found]
    for column in (0, 1):
        wanted = np.interp(last, at, values[:, column])
        assert np.concatenate([window for window, _ in found])[:, column] == pytest.approx(wanted, abs=1e-2)
    assert np.diff(last).tolist() == [10 * MS * round(step / 10 / MS) for step in np.diff(last)], "the samples are on one grid"
    assert at[-1] - 10 * MS < last[-1] <= at[-1], "a sample is there as soon as the line to it is, and never before"


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.floats(0.5, 4.9), NUMBERS), min_size=40, max_size=120))
def test_readings_that_come_much_faster_are_averaged_over_a_sample(points: list[tuple[float, float]]) -> None:
    at, values = times([step for step, _ in points[1:]]), np.array([value for _, value in points])
    windows = Windows(plan(length=1, hop=1))
    found: list[tuple[float, int]] = []
    for moment, value in zip(at.tolist(), values.tolist(), strict=True):
        found += [(float(window[0, 0]), taken) for window, taken in feed(windows, [(moment, (value,))])]
    middle = np.array([taken for _, taken in found], float) - BEGIN
    begin = np.maximum(middle - 5 * MS, 0)
    assert [value for value, _ in found] == pytest.approx(
        average(begin, middle + 5 * MS, (at - BEGIN).astype(float), values).tolist(), rel=1e-3, abs=1e-2)


@pytest.mark.parametrize(("hz", "every_ms", "least", "greatest"), [(20, 10, 0.95, 1.0), (90, 1, 0.0, 0.2)])
def test_what_is_too_fast_for_the_rate_is_taken_away_and_what_is_not_stays(hz: float, every_ms: float, least: float,
                                                                           greatest: float) -> None:
    """A swing of 90 Hz would look like 10 Hz at 100 Hz; one that comes at the rate itself is not smoothed away."""
    at = times([every_ms] * 2000)
    values = np.sin(2 * np.pi * hz * (at - BEGIN) / NS)
    found = feed(Windows(plan(length=100, hop=100)), [(int(t), (v,)) for t, v in zip(at, values, strict=True)])
    assert least <= np.ptp(found[0][0][1:]) / 2 <= greatest


@pytest.mark.parametrize(("length", "hop"), [(10, 5), (10, 10), (10, 3), (7, 20), (2, 1), (1, 2)])
def test_a_window_comes_each_hop_and_overlaps_the_last(length: int, hop: int) -> None:
    windows = Windows(plan(length=length, hop=hop))
    found = feed(windows, [(BEGIN + number * 10 * MS, (float(number),)) for number in range(100)])
    assert [window[:, 0].tolist() for window, _ in found] == [
        list(range(begin, begin + length)) for begin in range(0, 100 - length + 1, hop)]
    assert [taken for _, taken in found] == [BEGIN + (begin + length - 1) * 10 * MS for begin in range(0, 100 - length + 1, hop)]
    assert windows.skipped == 0


def test_of_windows_that_nobody_asked_for_the_newest_is_given() -> None:
    windows = Windows(plan())
    for number in range(26):
        windows.add(0, reading(BEGIN + number * 10 * MS, number))
    found = windows.take()
    assert found is not None
    assert found[0][:, 0].tolist() == list(range(15, 25))
    assert windows.skipped == 3
    assert windows.take() is None


def test_it_says_how_much_of_a_window_is_there() -> None:
    windows = Windows(plan())
    feed(windows, [(BEGIN + number * 10 * MS, (1.0,)) for number in range(4)])
    assert windows.filled == 4
    feed(windows, [(BEGIN + number * 10 * MS, (1.0,)) for number in range(4, 40)])
    assert windows.filled == 10


@pytest.mark.parametrize("broken", [
    pytest.param((BEGIN + 195 * MS + 101 * MS, (1.0,)), id="a pause"), pytest.param((BEGIN + 200 * MS, (nan,)), id="no number"),
    pytest.param((BEGIN + 200 * MS, (inf,)), id="infinite"), pytest.param((BEGIN + 200 * MS, (1.0, 2.0)), id="two numbers"),
])
@pytest.mark.fault("F37", bound="one reading", outcome="a window of readings begins anew")
def test_a_gap_begins_the_window_anew(broken: tuple[int, tuple[float, ...]]) -> None:
    windows = Windows(plan())
    feed(windows, [(BEGIN + number * 10 * MS, (1.0,)) for number in range(20)])
    assert feed(windows, [broken]) == []
    assert (windows.gaps, bool(windows.trouble)) == (1, True)
    after = [(broken[0] + number * 10 * MS, (2.0,)) for number in range(1, 14)]
    found = feed(windows, after)
    assert found[0][1] >= broken[0] + 9 * 10 * MS, "a whole window came after the gap"
    assert set(found[0][0][1:, 0].tolist()) == {2.0}


@pytest.mark.parametrize("value", [True, "21.5", None, float("inf"), 1e39, -1e300])
def test_a_reading_that_is_no_number_is_none(value: Any) -> None:
    windows = Windows(plan())
    feed(windows, [(BEGIN, (1.0,))])
    windows.add(0, Reading(value, BEGIN + MS, BEGIN))
    assert windows.gaps == 1


def test_a_plain_value_is_one_number_and_a_repetition_is_none() -> None:
    windows = Windows(plan(length=3, hop=3))
    for at in (0, 10, 10, 5, 20):
        windows.add(0, Reading(at / 10, BEGIN + at * MS, BEGIN))
    found = windows.take()
    assert found is not None
    assert found[0][:, 0].tolist() == [0.0, 1.0, 2.0]


def test_silence_begins_the_window_anew_although_nothing_comes() -> None:
    windows = Windows(plan())
    feed(windows, [(BEGIN + number * 10 * MS, (1.0,)) for number in range(5)])
    windows.look(BEGIN + 40 * MS + 340 * MS)
    assert windows.filled == 5, "readings may be on their way"
    windows.look(BEGIN + 40 * MS + 360 * MS)
    assert (windows.filled, windows.gaps) == (0, 1)
    windows.look(BEGIN + 10 * NS)
    assert windows.gaps == 1
    assert "gap_ms is 100" in windows.trouble


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1), st.floats(0.1, 40)), min_size=30, max_size=150),
       st.integers(1, 6), st.integers(1, 6))
def test_sensors_are_joined_on_one_axis(steps: list[tuple[int, float]], length: int, hop: int) -> None:
    """Two sensors that say a line each: whatever their pace, the samples of both lie on the lines at the same moments."""
    windows = Windows(plan(widths=(1, 2), length=length, hop=hop, gap_ms=10_000))
    at = BEGIN
    for place, step in steps:
        at += round(step * MS)
        second = (at - BEGIN) / NS
        windows.add(place, reading(at, second) if place == 0 else reading(at, -second, 3.0))
        found = windows.take()
        if found is not None:
            window, last = found
            wanted = (last - BEGIN) / NS - 0.01 * np.arange(length - 1, -1, -1)
            # A line is its own average; only the first sample has half a period, which lies a quarter later.
            assert window[1:, 0] == pytest.approx(wanted[1:], abs=1e-3)
            assert window[1:, 1] == pytest.approx(-wanted[1:], abs=1e-3)
            assert (window[:, 2] == 3.0).all()
            assert last <= at


def test_a_gap_of_one_sensor_is_a_gap_of_all() -> None:
    windows = Windows(plan(widths=(1, 1)))
    for number in range(5):
        for place in (0, 1):
            windows.add(place, reading(BEGIN + number * 10 * MS, 1.0))
    assert windows.filled == 5
    windows.add(0, reading(BEGIN + 50 * MS, nan))
    assert windows.filled == 0
    windows.add(1, reading(BEGIN + 60 * MS, 1.0))
    assert windows.filled == 0, "the other one has said nothing since"


def test_a_sensor_that_runs_away_from_the_other_does_not_overwrite_what_waits() -> None:
    windows = Windows(plan(widths=(1, 1), gap_ms=50))
    windows.add(0, reading(BEGIN, 1.0))
    windows.add(1, reading(BEGIN, 1.0))
    for number in range(1, 100):
        windows.add(0, reading(BEGIN + number * 10 * MS, 1.0))
        assert windows.filled <= 1
    assert windows.gaps >= 1


def test_a_pace_that_changes_loses_no_sample() -> None:
    """From 1 kHz to 100 Hz and back: each sample is on the line that the readings are on."""
    steps = [1.0] * 200 + [10.0] * 40 + [1.0] * 300 + [25.0] * 20
    at = times(steps)
    found = feed(Windows(plan(length=20, hop=1)), [(int(moment), ((moment - BEGIN) / NS,)) for moment in at])
    for window, last in found:
        wanted = (last - BEGIN) / NS - 0.01 * np.arange(19, -1, -1)
        assert window[1:, 0] == pytest.approx(wanted[1:], abs=3e-3)
    assert np.diff([last for _, last in found]).max() <= 30 * MS


def test_a_window_is_always_given_in_the_same_memory() -> None:
    windows = Windows(plan())
    given = set()
    for number in range(500):
        windows.add(0, reading(BEGIN + number * 10 * MS, 1.0))
        if (found := windows.take()) is not None:
            given.add(found[0].__array_interface__["data"][0])
    assert len(given) == 1

"""A sensor that is asked, at its pace."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from itertools import pairwise

import pytest

from reflexd_drivers.base import DriverError, NotYetError
from reflexd_drivers.sensors.polled import Polled


def test_a_value_comes_at_its_pace_with_when_it_changed_and_how_often_it_rose() -> None:
    answers: Iterator[bool] = iter([False, False, True, False, True])
    sensor = Polled("chip", 10, lambda: next(answers))
    began = time.monotonic()
    readings = [sensor.read(1.0) for _ in range(5)]
    assert 0.035 <= time.monotonic() - began < 1.0, "the first is asked at once, the others each 10 ms"
    assert [one.value for one in readings] == [False, False, True, False, True]
    assert readings[1].changed_at == readings[0].taken_at < readings[1].taken_at
    assert (readings[-1].rises, readings[-1].falls) == (2, 1)


def test_between_two_questions_the_last_answer_is_given_as_old_as_it_is() -> None:
    sensor = Polled("chip", 10_000, lambda: 1.5)
    first = sensor.read(0.01)
    began = time.monotonic()
    assert sensor.read(0.03) == first
    assert 0.025 < time.monotonic() - began < 1.0


def test_slow_answers_do_not_add_up() -> None:
    asked: list[float] = []

    def ask() -> float:
        asked.append(time.monotonic())
        time.sleep(0.025)
        return 1.0

    sensor = Polled("chip", 10, ask)
    for _ in range(4):
        sensor.read(1.0)
    assert all(later - sooner > 0.02 for sooner, later in pairwise(asked)), "what was missed is left out"


def test_nothing_is_said_before_the_first_answer() -> None:
    sensor = Polled("chip", 5, lambda: None)
    with pytest.raises(NotYetError, match="chip: the device has not answered yet; wait"):
        sensor.read(0.03)


def test_close_ends_a_read_that_waits_and_gives_the_device_back_once() -> None:
    gone: list[int] = []
    sensor = Polled("chip", 60_000, lambda: 1.0, lambda: gone.append(1))
    sensor.read(0.1)
    caught: list[str] = []

    def read() -> None:
        with pytest.raises(DriverError, match="closed while it was read"):
            sensor.read(30)
        caught.append("ended")

    thread = threading.Thread(target=read)
    thread.start()
    sensor.close()
    sensor.close()
    thread.join(5)
    assert caught == ["ended"]
    assert gone == [1]

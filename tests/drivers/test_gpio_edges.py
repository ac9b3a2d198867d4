"""Edges as the kernel queues them: counted whole, whatever was lost; the structures are those of linux/gpio.h."""

from __future__ import annotations

import os
import struct
import threading
from time import monotonic, monotonic_ns

import pytest

from reflexd_drivers.base import DriverError
from reflexd_drivers.gpio_edges import Edges, line_request

from .storm import Storm


@pytest.fixture
def line() -> Storm:
    return Storm()


def listening(line: Storm) -> Edges:
    return line.edges()


def test_a_press_and_release_that_came_together_are_both_counted_with_their_time(line: Storm) -> None:
    edges, at = listening(line), monotonic_ns()
    line.edge(1, True, at)
    line.edge(2, False, at + 1000)
    assert edges.wait(1)
    assert (edges.level, edges.rises, edges.falls, edges.lost) == (False, 1, 1, 0)
    assert edges.changed_at == at + 1000
    rose, fell = edges.times()
    assert (rose.tolist(), fell.tolist()) == ([at], [at + 1000])
    edges.close()


def test_edges_that_the_queue_lost_are_counted_by_their_numbers(line: Storm) -> None:
    edges = listening(line)
    line.edge(1, True, monotonic_ns())
    line.edge(1001, True, monotonic_ns())
    assert edges.wait(1)
    assert (edges.level, edges.rises, edges.falls, edges.lost) == (True, 501, 500, 999)
    edges.close()


def test_two_rises_in_turn_hide_a_fall_that_was_too_short_to_be_seen(line: Storm) -> None:
    edges = listening(line)
    line.edge(1, True, monotonic_ns())
    assert edges.wait(1)
    line.edge(2, True, monotonic_ns())
    assert edges.wait(1)
    assert (edges.level, edges.rises, edges.falls) == (True, 2, 1)
    edges.close()


def test_numbers_go_round_after_four_thousand_million_edges(line: Storm) -> None:
    edges = listening(line)
    edges._number = 2**32 - 1
    line.edge(0, True, monotonic_ns())
    assert edges.wait(1)
    assert (edges.rises, edges.lost) == (1, 0)
    edges.close()


def test_an_edge_seen_on_the_line_is_not_counted_again_when_the_kernel_tells_of_it(line: Storm) -> None:
    edges = listening(line)
    line.level = True
    assert edges.wait(0.01), "seen on the line"
    line.edge(1, True, monotonic_ns())
    line.edge(2, False, monotonic_ns())
    assert edges.wait(1)
    assert (edges.level, edges.rises, edges.falls) == (False, 1, 1)
    edges.close()


def test_a_time_of_another_clock_is_replaced_by_the_arrival(line: Storm) -> None:
    edges, before = listening(line), monotonic_ns()
    line.edge(1, True, 1_700_000_000_000_000_000)
    assert edges.wait(1)
    assert before <= edges.changed_at <= monotonic_ns()
    edges.close()


def test_after_news_the_reader_rests_and_news_without_a_pause_before_come_at_once(line: Storm) -> None:
    edges = listening(line)
    for number in range(1, 51):
        line.edge(number, number % 2 == 1, monotonic_ns())
        assert edges.wait(1)
    looks = 50
    began = monotonic()
    for number in range(51, 101):
        line.edge(number, number % 2 == 1, monotonic_ns())
        edges.wait(1)
    assert monotonic() - began >= 0.9 * looks * 0.002
    assert (edges.rises, edges.storms) == (50, 0)
    edges.close()


def test_close_ends_a_wait_and_gives_everything_back_once(line: Storm) -> None:
    edges, caught = listening(line), []

    def wait() -> None:
        with pytest.raises(DriverError, match="closed while it was read"):
            edges.wait(30)
        caught.append(1)

    thread = threading.Thread(target=wait)
    thread.start()
    edges.close()
    edges.close()
    thread.join(5)
    assert caught == [1]
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(line.out)


def test_a_line_that_went_away_is_told(line: Storm) -> None:
    edges = listening(line)
    os.close(line.into)
    with pytest.raises(DriverError, match="GPIO4: the line is gone: nothing will be told"):
        edges.wait(1)
    line.into = os.dup(line.out)
    edges.close()


@pytest.mark.fault("F20", bound="at once", outcome="each edge is counted, also those that the kernel's queue lost")
def test_a_storm_is_counted_to_the_last_edge(line: Storm) -> None:
    edges = listening(line)
    line.begin()
    while edges.rises < 50_000:
        edges.wait(0.25)
    happened, full = line.end()
    while edges.wait(0.05):
        pass
    lost_at_the_end = happened - edges.rises - edges.falls
    assert 0 <= lost_at_the_end <= full
    assert abs(edges.rises - edges.falls) <= 1
    assert edges.counters()["lost"] <= full
    assert edges.storms >= 1
    edges.close()


def test_a_request_has_the_shape_of_the_kernels_structure() -> None:
    request = line_request(4, "up", 0.02)
    assert len(request) == 592
    assert struct.unpack_from("=I", request, 0) == (4,)
    assert request[256:288].rstrip(b"\0") == b"reflexd"
    flags, attributes = struct.unpack_from("=QI", request, 288)
    assert (flags, attributes) == (1 << 2 | 1 << 4 | 1 << 5 | 1 << 8, 1)
    assert struct.unpack_from("=IIIIQ", request, 320) == (3, 0, 20_000, 0, 1), "debounced for 20,000 µs"
    assert struct.unpack_from("=II", request, 560) == (1, 1024)
    assert line_request(4, "none", 0)[296:300] == bytes(4), "no attribute without a debounce"

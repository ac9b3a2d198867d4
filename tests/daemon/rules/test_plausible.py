"""Whether a number that was read can be true: what is said of each reading, and when one is believed."""

from __future__ import annotations

from reflexd.config.settings import PlausibleSettings
from reflexd.rules.plausible import Plausible
from reflexd_models.base import Prediction

S = 1_000_000_000


def read(*readings: tuple[float, float | None, float], settle: int = 2) -> list[tuple[float | None, str]]:
    """Judge readings of (seconds, value, spread) that may rise by one a second."""
    one = Plausible(PlausibleSettings(max_rise_per_min=60, settle=settle))
    return [one.judge(Prediction(round(at_s * S), {}, value, spread)) for at_s, value, spread in readings]


def test_as_many_readings_as_asked_for_have_to_agree() -> None:
    assert read((0, 100, 0), (1, 100.5, 0), (2, 101, 0), (3, 101.5, 0), settle=3) == [
        (None, "1 of 3 first readings agree"), (None, "2 of 3 first readings agree"), (101, ""), (101.5, "")]


def test_a_first_reading_has_to_be_as_sharp_as_the_sharpest() -> None:
    assert read((0, 100, 0.1), (1, 100, 10))[1] == (None, "waits for a sharp first reading")


def test_a_number_rises_no_faster_than_it_may_since_it_was_last_believed() -> None:
    assert read((0, 100, 0), (10, 100, 0), (10.1, 105, 0), (70, 159.9, 0), (71, 161, 0)) == [
        (None, "1 of 2 first readings agree"), (100, ""), (None, "105 after 100 rises too fast"), (159.9, ""),
        (None, "161 after 159.9 rises too fast")]


def test_what_is_no_number_says_so() -> None:
    assert read((0, None, 0)) == [(None, "the network gave no number")]


def test_a_number_that_goes_backwards_says_so() -> None:
    assert read((0, 100, 0.5), (1, 100, 0.5), (2, 99.5, 0.5), (3, 99.75, 0.5))[2:] == [
        (None, "99.5 after 100 goes backwards"), (99.75, "")]


def test_a_number_without_a_spread_may_stay_as_it_is() -> None:
    assert read((0, 100, 0), (1, 100, 0), (2, 100, 0), (3, 99.9, 0))[1:] == [
        (100, ""), (100, ""), (None, "99.9 after 100 goes backwards")]

"""A row of wheels is a number of which only the last wheel may stand between two digits."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from reflexd_models.bundle import find_bundle, open_model
from reflexd_models.tasks.regions import BETWEEN, Options, number
from tests.models.helpers import rgb

WHEELS = st.lists(st.tuples(st.sampled_from([*"0123456789"]), st.floats(0.6, 1)), min_size=1, max_size=9)


@given(parts=WHEELS, decimals=st.integers(0, 9))
def test_sharp_wheels_are_their_number_known_to_one_unit_of_the_last(parts, decimals):
    value, spread, unsure = number(parts, 0.6, decimals)
    assert unsure is None
    assert value == int("".join(label for label, _ in parts)) / 10**decimals
    assert spread == pytest.approx(10**-decimals)


@given(parts=WHEELS, decimals=st.integers(0, 9))
def test_a_last_wheel_between_counts_as_nought_known_to_ten_units(parts, decimals):
    value, spread, unsure = number([*parts, (BETWEEN, 0.9)], 0.6, decimals)
    assert unsure is None
    assert value == int("".join(label for label, _ in parts) + "0") / 10**decimals
    assert spread == pytest.approx(10 * 10**-decimals)


@given(parts=WHEELS, at=st.integers(0, 8))
def test_any_other_wheel_between_makes_it_unsure_and_is_named(parts, at):
    at = min(at, len(parts) - 1)
    row = [*parts[:at], (BETWEEN, 0.99), *parts[at:]]
    assert number(row, 0.6, 0) == (None, 0.0, f"wheel {at + 1} of {len(row)} is between two digits, and only the last may be")


def test_a_wheel_below_the_threshold_makes_it_unsure_and_is_named():
    assert number([("1", 0.9), ("7", 0.55)], 0.6, 0) == (None, 0.0, 'wheel 2 of 2 reads "7" at 0.55, below 0.60')


@pytest.mark.parametrize(("table", "said"), [
    ({}, "regions"),
    ({"regions": []}, "at least 1"),
    ({"regions": [[0, 0, 1]]}, "Field required"),
    ({"regions": [[0, 0, 1, 1, 1]]}, "at most 4"),
    ({"regions": [[0, 0, 1, 1], [0.5, 0, 0.6, 1]]}, "region 2 reaches outside"),
    ({"regions": [[0, 0, 0, 1]]}, "region 1 reaches outside the frame or has no size"),
    ({"regions": [[0, 0, 1, 1]], "decimals": 2}, "2 decimals of 1 wheels"),
    ({"regions": [[0, 0, 1, 1]], "decimal": 1}, "Extra inputs"),
    ({"regions": [[0, 0, 1, float("nan")]]}, "finite"),
])
def test_regions_that_cannot_be_are_refused(table, said):
    with pytest.raises(ValidationError, match=said):
        Options.model_validate(table)


@pytest.fixture(scope="module")
def digits(shared):
    with np.load(shared / "data" / "meter_digits.npz", allow_pickle=False) as found:
        held = np.isin(found["group"], find_bundle("meter").held_out)
        return found["x"][held], found["y"][held]


def row(digits, wheels: list[int], seed: int = 0) -> np.ndarray:
    """Lay real digits, each of its tenths, into a frame of 640 x 480."""
    x, y = digits
    rng, frame = np.random.default_rng(seed), np.full((480, 640, 3), 90, np.uint8)
    for at, tenths in enumerate(wheels):
        chosen = x[rng.choice(np.flatnonzero(y == tenths))]
        frame[200:264, 100 + 50 * at : 140 + 50 * at] = cv2.resize(chosen, (40, 64))
    return frame


def options(wheels: int, decimals: int = 0) -> Options:
    boxes = [((100 + 50 * at) / 640, 200 / 480, 40 / 640, 64 / 480) for at in range(wheels)]
    return Options(regions=tuple(boxes), decimals=decimals)


def test_real_digits_of_meters_never_seen_are_read_as_their_number_or_not_at_all(digits):
    model, right, wrong = open_model(find_bundle("meter"), options(5, decimals=2)), 0, 0
    for seed in range(200):
        wanted = [int(digit) for digit in np.random.default_rng(seed).integers(0, 10, 5)]
        told = model.predict(rgb(row(digits, [10 * digit for digit in wanted], seed)), seed)
        right += told.value == int("".join(map(str, wanted))) / 100
        wrong += told.value is not None and told.value != int("".join(map(str, wanted))) / 100 and told.spread < 0.05
    assert right >= 130
    assert wrong <= 10


def test_each_part_is_told_in_the_order_of_the_regions(digits):
    told = open_model(find_bundle("meter"), options(3), {"between"}).predict(rgb(row(digits, [10, 20, 45])), 7)
    assert [label for label, _ in told.parts] == ["1", "2", "between"]
    assert (told.value, told.spread, told.taken_at) == (120.0, 10.0, 7)
    assert told.scores == {"between": told.parts[2][1]}


def test_what_the_network_is_given_is_drawn_per_wheel(digits):
    drawn = open_model(find_bundle("meter"), options(4)).given(rgb(row(digits, [0, 10, 20, 30])))
    assert [one.shape for one in drawn] == [(32, 20, 3)] * 4

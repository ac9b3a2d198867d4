"""The figures mean what the issue says they mean."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from reflexd_models.accuracy import BETWEEN, by_group, class_of, figures


def test_the_class_of_each_tenth():
    tenths = np.array([0, 2, 3, 7, 8, 9, 35, 88, 97, 98, 99])
    assert class_of(tenths).tolist() == [0, 0, BETWEEN, BETWEEN, 1, 1, BETWEEN, 9, BETWEEN, 0, 0]


@given(st.integers(0, 99))
def test_the_right_answer_is_strict_and_its_neighbours_are_within_a_tenth(tenth):
    truth, full = np.array([tenth]), np.array([1.0])
    assert figures(truth, class_of(truth), full)["strict"] == 1
    for near in (tenth - 1, tenth + 1):
        told = figures(truth, class_of(np.array([near])), full)
        assert (told["within_tenth"], told["wrong_digit"]) == (1, 0)


def test_only_a_plain_digit_far_off_is_a_wrong_digit():
    told = figures(np.array([20, 20, 20, 25]), np.array([2, 7, BETWEEN, 2]), np.array([0.95, 0.95, 0.95, 0.5]))
    assert told == {"strict": 0.25, "within_tenth": 0.25, "within_tenth_covered": 0.3333, "coverage": 0.75,
                    "wrong_digit": 0.5, "count": 4}


def test_a_share_of_none_is_none():
    assert figures(np.array([20]), np.array([2]), np.array([0.89]))["within_tenth_covered"] is None


def test_groups_are_judged_by_themselves():
    told = by_group(np.array([0, 0]), np.array([0, 5]), np.array([1.0, 1.0]), np.array(["b", "a"]))
    assert [(name, one["strict"]) for name, one in told.items()] == [("a", 0), ("b", 1)]

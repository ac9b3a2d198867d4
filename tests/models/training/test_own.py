"""Windows of one's own are checked before anything is trained, and split by group."""

import numpy as np
import pytest

from training import own
from training.recipe import DataError

GOOD = {
    "x": np.zeros((8, 50, 3), np.float32), "y": np.array(["off", "on"] * 4), "rate_hz": np.array(50.0),
    "group": np.array(["a", "b", "a", "b", "c", "d", "c", "d"]),
}


@pytest.fixture
def saved(tmp_path):
    def save(**changed):
        path = tmp_path / "windows.npz"
        np.savez(path, **{name: array for name, array in {**GOOD, **changed}.items() if array is not None})
        return path
    return save


def test_labels_become_their_places_and_every_fourth_group_of_each_is_held_out(saved):
    windows, labels, rate_hz = own.read(saved())
    assert (labels, rate_hz, windows.y.tolist()) == (("off", "on"), 50.0, [0, 1] * 4)
    train, unseen = own.split(windows, labels)
    assert sorted(set(unseen.group)) == ["a", "b"]
    assert sorted(set(train.group)) == ["c", "d"]
    assert len(train.x) == len(train.y) == 4


@pytest.mark.parametrize(("changed", "told"), [
    ({"group": None}, "has no group"),
    ({"x": np.zeros((8, 50, 2), np.float32)}, "x has to be finite floats"),
    ({"x": np.full((8, 50, 3), np.nan)}, "x has to be finite floats"),
    ({"x": np.zeros((8, 20, 3), np.float32)}, "40 or more"),
    ({"y": np.arange(8)}, "y and group have to be text"),
    ({"y": np.array(["on"] * 8)}, "two labels"),
    ({"rate_hz": np.array(0.0)}, "rate_hz has to be"),
])
def test_what_is_wrong_with_a_file_is_told_in_a_line(saved, changed, told):
    with pytest.raises(DataError, match=told) as refused:
        own.read(saved(**changed))
    assert "\n" not in str(refused.value)


def test_what_is_no_npz_is_refused(tmp_path):
    (tmp_path / "windows.npz").write_text("x,y\n")
    with pytest.raises(DataError, match=r"cannot be read as \.npz"):
        own.read(tmp_path / "windows.npz")
    with pytest.raises(DataError, match=r"cannot be read as \.npz"):
        own.read(tmp_path / "nowhere.npz")


def test_a_label_of_one_group_is_refused_and_so_is_one_whose_groups_are_all_taken(saved):
    windows, labels, _ = own.read(saved(group=np.array(["a", "b", "a", "b", "a", "c", "a", "c"])))
    with pytest.raises(DataError, match='"off": has 1 group'):
        own.split(windows, labels)
    # each label holds its first group out: b is of both, and a was the other group of "off"
    windows, labels, _ = own.read(saved(y=np.array(["off", "off", "on", "on"] * 2), group=np.array([*"abbcabbc"])))
    with pytest.raises(DataError, match='"off": all its groups'):
        own.split(windows, labels)

"""Networks read a window as Keras reads it, in whatever form they were converted, and forget the window before."""

import numpy as np
import pytest

from reflexd_models import series
from reflexd_models.base import ModelError, SeriesModel
from reflexd_models.bundle import find_bundle, open_camera_model, open_model
from reflexd_models.runtime import Network
from reflexd_models.tasks.sequence import Options
from tests.models.helpers import SERIES, error_of, packed, series_bundle

WINDOW = '[window]\nchannels = ["flow", "heat"]\nrate_hz = 20\nlength = 12\nmean = [1, -2]\nstd = [2, 0.5]\n'
LABELS = 'labels = ["a", "b", "c"]\n'
FLOATS = ("conv", "flat", "picture", "rnn-unrolled", "fused-lstm", "lstm", "gru", "rnn")
INT8 = ("conv-int8", "fused-lstm-int8", "lstm-int8", "gru-int8", "rnn-int8")
OFF = 0.06          # so small a network in int8 is off by that much

with np.load(SERIES / "told.npz", allow_pickle=False) as read:
    TOLD: dict[str, np.ndarray] = dict(read)
WINDOWS = TOLD["windows"]


def keras(name: str) -> np.ndarray:
    return TOLD[name.removesuffix("-int8")]


def opened(folder, name: str, more: str = WINDOW, labels: str = LABELS) -> SeriesModel:
    """Open a network as a bundle whose golden case is what Keras says, so that it needs no trial."""
    golden = f'[golden]\nfile = "golden.npz"\ntolerance = {OFF if name in INT8 else 1e-5}\n'
    series_bundle(folder / name, (SERIES / f"{name}.tflite").read_bytes(), "sequence", labels + more + golden)
    (folder / name / "golden.npz").write_bytes(packed({"given": WINDOWS[:2], "told": keras(name)[:2]}))
    model = open_model(find_bundle(str(folder / name)), Options())
    assert isinstance(model, SeriesModel)
    return model


def scores(model: SeriesModel, windows: np.ndarray) -> np.ndarray:
    return np.array([[*model.predict(window, 0).scores.values()] for window in windows])


@pytest.mark.parametrize("name", [*FLOATS, *INT8])
def test_a_window_gets_the_scores_that_keras_gives_it(name, tmp_path):
    found = scores(opened(tmp_path, name), WINDOWS)
    assert np.abs(found - keras(name)).max() < (OFF if name in INT8 else 1e-5)
    assert np.ptp(keras(name), axis=0).max() > 2.9 * OFF          # a network that always says the same would not do
    assert (found.argmax(1) == keras(name).argmax(1)).mean() >= (0.8 if name in INT8 else 1)


def test_a_prediction_has_all_labels_and_the_time_of_its_window(tmp_path):
    model = opened(tmp_path, "lstm")
    assert model.shape == (("flow", "heat"), 20.0, 12, 6)
    said = model.predict(WINDOWS[0], 123)
    assert (said.taken_at, list(said.scores)) == (123, ["a", "b", "c"])
    assert all(type(score) is float for score in said.scores.values())


@pytest.mark.parametrize("name", ["fused-lstm", "fused-lstm-int8", "lstm", "lstm-int8", "gru", "rnn-int8"])
def test_what_a_window_is_told_does_not_hang_on_the_windows_before(name, tmp_path):
    model = opened(tmp_path, name)
    alone = scores(opened(tmp_path / "again", name), WINDOWS[3:4])[0]
    for before in (WINDOWS[0], WINDOWS[5] * 3, WINDOWS[3]):
        model.predict(before, 0)
        assert (scores(model, WINDOWS[3:4])[0] == alone).all()


def test_a_fused_lstm_that_is_not_reset_remembers():
    """Show that the reset is what makes it forget: without it the same window is told otherwise the second time."""
    network = Network((SERIES / "fused-lstm.tflite").read_bytes(), "fused")
    window = ((WINDOWS[3] - (1, -2)) / (2, 0.5)).astype(np.float32)

    def run() -> np.ndarray:
        return network.run(lambda tensor: np.copyto(tensor, window[None]))[0].copy()

    first, second = run(), run()
    network.reset()
    assert np.abs(second - first).max() > 0.01
    assert (run() == first).all()


def test_a_window_that_was_given_is_left_as_it_was_and_not_kept(tmp_path):
    model, window = opened(tmp_path, "lstm-int8"), WINDOWS[0].copy()
    first = scores(model, window[None])
    assert (window == WINDOWS[0]).all()
    window[:] = 1e6
    assert (scores(model, WINDOWS[:1]) == first).all()


@pytest.mark.parametrize("state", ['h = "h_next"\nc = "c_next"', 'c = "c_next"\nh = "h_next"'])
def test_states_may_be_named_by_the_bundle(state, tmp_path):
    model = opened(tmp_path, "lstm", f"{WINDOW}[window.state]\n{state}\n")
    assert np.abs(scores(model, WINDOWS) - keras("lstm")).max() < 1e-5


def test_states_that_are_mixed_up_are_found_by_the_golden_case(tmp_path):
    line = error_of(lambda: opened(tmp_path, "lstm", f'{WINDOW}[window.state]\nh = "c_next"\nc = "h_next"\n'))
    assert "answers otherwise than where it was made" in line


@pytest.mark.parametrize(("name", "state", "said"), [
    ("lstm", 'hidden = "h_next"', 'window.state names "hidden", and it takes c [1, 5], x [1, 2], h [1, 5]'),
    ("lstm", 'h = "after"', 'window.state names "after"'),
    ("lstm", 'h = "h_next"', "correct [window], or add window.state"),
    ("lstm", 'h = "h_next"\nc = "h_next"', "gives one output to two states"),
    ("lstm", 'x = "h_next"', "the state x goes in as [1, 2] float32, and comes out of h_next as [1, 5] float32"),
    ("conv", 'window = "scores"', "the state window goes in as"),
])
def test_states_that_cannot_be_are_refused(name, state, said, tmp_path):
    assert said in error_of(lambda: opened(tmp_path, name, f"{WINDOW}[window.state]\n{state}\n"))


@pytest.mark.parametrize(("name", "old", "new", "said"), [
    ("conv", "length = 12", "length = 13", "it takes window [1, 12, 2] and gives scores [1, 3]; a window is [1, 13, 2] or"),
    ("flat", "length = 12", "length = 11", "a window is [1, 11, 2] or [1, 22]"),
    ("lstm", '["flow", "heat"]\n', '["x", "y", "z"]\n', "mean and std have a number for each channel"),
    ("lstm", "mean = [1, -2]\nstd = [2, 0.5]\n", "", "answers otherwise"),
    ("fused-lstm", WINDOW, "", "add [window] with channels, rate_hz and length"),
    ("fused-lstm", LABELS, 'labels = ["a", "b"]\n', "there are 2 labels, and the network gives 3 scores"),
    ("fused-lstm", LABELS, "", "there are 0 labels"),
    ("fused-lstm", LABELS, 'labels = ["a", "b", "a"]\n', "a label of its own"),
    ("autoencoder", "[1, -2]", "[0, 0]", "there are 3 labels, and the network gives 24 scores"),
])
def test_a_bundle_that_contradicts_its_network_is_refused(name, old, new, said, tmp_path):
    more, labels = WINDOW.replace(old, new), LABELS.replace(old, new)
    assert said in error_of(lambda: opened(tmp_path, name, more, labels))


def test_a_window_of_another_shape_or_with_a_hole_is_refused(tmp_path):
    model = opened(tmp_path, "conv")
    holed = WINDOWS[0].copy()
    holed[0, 0] = np.inf
    with pytest.raises(ModelError, match=r"no number \(nan or inf\)"):
        model.predict(holed, 0)
    with pytest.raises(ModelError, match=r"takes windows of \[12, 2\]"):
        model.predict(WINDOWS[0].T, 0)


def test_a_network_of_readings_that_gives_no_number_is_an_error():
    with pytest.raises(ModelError, match=r"gave no number \(nan\)"):
        series.told(("a", "b"), [0.5, float("nan")], "net")


def test_pictures_are_refused_to_a_network_of_readings(tmp_path):
    opened(tmp_path, "conv")
    bundle = find_bundle(str(tmp_path / "conv"))
    assert "watches sensors, not pictures" in error_of(lambda: open_camera_model(bundle, Options()))

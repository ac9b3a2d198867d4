"""A window's distance from normal ones: on public recordings, from hostile files, and with a limit or none."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reflexd_models import calibration, features, normality
from reflexd_models.about import Window
from reflexd_models.base import ModelError, SeriesModel
from reflexd_models.bundle import Bundle, find_bundle, open_model
from reflexd_models.tasks.anomaly import FARTHEST, Options
from tests.models.helpers import SERIES, error_of, packed, series_bundle

RNG = np.random.default_rng(4)
NORMAL = RNG.normal(0, 1, (120, 32, 2)).astype(np.float32)
WINDOW = '[window]\nchannels = ["x", "y"]\nrate_hz = 100\nlength = 32\n'


def written(folder, files: dict[str, bytes]) -> Bundle:
    """Put a bundle's files into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return find_bundle(str(folder))


def opened(folder, files: dict[str, bytes]) -> SeriesModel:
    model = open_model(written(folder, files), Options())
    assert isinstance(model, SeriesModel)
    return model


def values(model: SeriesModel, windows) -> np.ndarray:
    return np.array([model.predict(window, 0).value for window in windows])


def auc(normal: np.ndarray, other: np.ndarray) -> float:
    """Give how often another window is farther than a normal one."""
    return float((other[:, None] > normal).mean() + (other[:, None] == normal).mean() / 2)


@pytest.fixture(scope="module")
def fan(shared) -> dict[str, np.ndarray]:
    """Give some windows of each recording of a ceiling fan, in order."""
    with np.load(shared / "data" / "fan_vibration.npz", allow_pickle=False) as found:
        x, names = found["x"], found["dataset"]
    return {speed + weight: x[names == f"fan_0_{speed}_{weight}_weight"] for speed in ("low", "med", "high") for weight in "01"}


def window_of(length: int, channels: str = "xyz") -> Window:
    return Window(channels=tuple(channels), rate_hz=200, length=length)


@pytest.mark.parametrize(("method", "speed", "bar", "caught"), [
    ("rms", "low", 0.999, 0.99), ("rms", "med", 0.999, 0.99), ("rms", "high", 0.9, 0),       # at full speed it only shakes alike
    ("mahalanobis", "low", 0.999, 0.99), ("mahalanobis", "med", 0.999, 0.99), ("mahalanobis", "high", 0.999, 0.99)])
def test_a_weight_on_a_blade_is_far_from_normal(method, speed, bar, caught, fan, tmp_path):
    normal, heavy = fan[f"{speed}0"], fan[f"{speed}1"]
    made = calibration.of_statistics("fan", method, window_of(200), normal[:400])
    model = opened(tmp_path, made.files)
    fresh, far = values(model, normal[400:][::3]), values(model, heavy[::5])
    assert auc(fresh, far) >= bar
    assert (fresh > 1).mean() <= 0.04
    assert (far > 1).mean() >= caught
    assert made.over <= 0.01


def with_weights(fitted: np.ndarray) -> bytes:
    """Give the linear autoencoder of 150 values with the directions (8, 150) in which normal windows lie."""
    content = (SERIES / "linear.tflite").read_bytes()
    for first, put in ((1, fitted), (2001, fitted.T)):
        old = np.arange(first, first + 1200, dtype="<f4").tobytes()
        assert content.count(old) == 1
        content = content.replace(old, np.ascontiguousarray(put, "<f4").tobytes())
    return content


def test_an_autoencoder_gets_a_weight_on_a_blade_wrong(fan, tmp_path):
    normal, heavy = fan["med0"][:, :50], fan["med1"][:, :50]
    mean, std = normal[:400].mean((0, 1)), normal[:400].std((0, 1))
    directions = np.linalg.svd(((normal[:400] - mean) / std).reshape(400, -1), full_matrices=False)[2][:8]
    more = (f'[window]\nchannels = ["x", "y", "z"]\nrate_hz = 200\nlength = 50\nmean = {mean.tolist()}\nstd = {std.tolist()}\n'
            '[anomaly]\nmethod = "autoencoder"\n')
    bundle = find_bundle(str(series_bundle(tmp_path / "raw", with_weights(directions), "anomaly", more)))
    model = opened(tmp_path / "made", calibration.of_bundle("made", bundle, normal[:400]).files)
    fresh, far = values(model, normal[400:][::3]), values(model, heavy[::5])
    assert auc(fresh, far) >= 0.99
    assert (fresh > 1).mean() <= 0.03
    assert (far > 1).mean() >= 0.85


def test_a_published_autoencoder_works_as_it_is(shared, tmp_path):
    content = (shared / "models" / "ad01_int8.tflite").read_bytes()
    mels = ", ".join(f'"mel{at}"' for at in range(128))
    more = f'[window]\nchannels = [{mels}]\nrate_hz = 31.25\nlength = 5\n[anomaly]\nmethod = "autoencoder"\n'
    bundle = find_bundle(str(series_bundle(tmp_path / "raw", content, "anomaly", more)))
    line = error_of(lambda: open_model(bundle, Options()))
    assert "has no limit" in line
    assert "reflexctl calibrate RECORDING --method autoencoder --bundle BUNDLE --as NAME" in line
    humming = RNG.normal(-10, 3, (40, 5, 128)).astype(np.float32)
    model = opened(tmp_path / "made", calibration.of_bundle("made", bundle, humming).files)
    assert values(model, humming).max() <= 1.01
    assert values(model, humming + 40).min() > 2
    assert model.predict(humming[0], 9).taken_at == 9


def test_what_an_autoencoder_gets_wrong_is_the_mean_square_of_its_real_input(tmp_path):
    with np.load(SERIES / "told.npz", allow_pickle=False) as told:
        windows, again = told["windows"], told["autoencoder"]
    window = '[window]\nchannels = ["flow", "heat"]\nrate_hz = 20\nlength = 12\nmean = [1, -2]\nstd = [2, 0.5]\n'
    wrong = (again - ((windows - (1, -2)) / (2, 0.5)).reshape(6, -1)) ** 2
    golden = '[golden]\nfile = "golden.npz"\ntolerance = 5\n'
    for name, off in (("autoencoder", 1e-5), ("autoencoder-int8", 0.05)):
        folder = series_bundle(tmp_path / name, (SERIES / f"{name}.tflite").read_bytes(), "anomaly",
                               f'{window}[anomaly]\nmethod = "autoencoder"\nlimit = 2.0\n{golden}')
        (folder / "golden.npz").write_bytes(packed({"given": windows[:1], "told": wrong.mean(1)[:1, None] / 2}))
        model = open_model(find_bundle(str(folder)), Options())
        assert isinstance(model, SeriesModel)
        assert values(model, windows) == pytest.approx(wrong.mean(1) / 2, rel=off)


def test_a_prediction_is_a_number_where_1_is_the_limit(tmp_path):
    made = calibration.of_statistics("it", "rms", window_of(32, "xy"), NORMAL)
    model = opened(tmp_path, made.files)
    far = normality.distance("rms", normality.fit("rms", NORMAL), 2, "it")
    said = model.predict(NORMAL[0] * 2, 5)
    assert (said.taken_at, said.scores, said.unsure) == (5, {}, None)
    assert type(said.value) is float
    assert said.value == pytest.approx(far.of(NORMAL[0] * 2) / made.limit)
    assert made.limit == pytest.approx(1.25 * made.percentile)
    assert Options.gives_number
    assert model.labels == ()


def test_the_percentile_is_of_windows_that_the_statistics_have_not_seen():
    apart = normality.apart(NORMAL, "mahalanobis")
    seen = normality.distance("mahalanobis", normality.fit("mahalanobis", NORMAL), 2, "it")
    assert np.median(apart) > 1.05 * np.median([seen.of(window) for window in NORMAL])


def test_a_channel_that_never_moves_is_far_as_soon_as_it_does(tmp_path):
    still = NORMAL.copy()
    still[:, :, 1] = 3
    for method in ("rms", "mahalanobis"):
        model = opened(tmp_path / method, calibration.of_statistics("it", method, window_of(32, "xy"), still).files)
        assert values(model, still[:20]).max() < 1.2
        moved = still[0].copy()
        moved[5, 1] = 3.5
        assert 10 < model.predict(moved, 0).value <= FARTHEST


def test_a_recording_that_never_moves_has_no_limit():
    line = error_of(lambda: calibration.of_statistics("it", "rms", window_of(32, "xy"), np.full_like(NORMAL, 2)))
    assert "see whether the sensor is connected" in line


def test_a_hole_in_a_window_is_refused(tmp_path):
    model = opened(tmp_path, calibration.of_statistics("it", "mahalanobis", window_of(32, "xy"), NORMAL).files)
    holed = NORMAL[0].copy()
    holed[0, 1] = np.nan
    with pytest.raises(ModelError, match=r"no number \(nan or inf\)"):
        model.predict(holed, 0)


FITTED = {method: normality.fit(method, NORMAL) for method in normality.STATISTICS}
LIMITED = '[anomaly]\nmethod = "rms"\nlimit = 3.0\n'


@pytest.mark.parametrize(("more", "said"), [
    (WINDOW, "nothing says how; add [anomaly]"),
    (LIMITED, "add [window]"),
    (f'{WINDOW}[anomaly]\nmethod = "rms"\n', "reflexctl calibrate RECORDING --method rms --as NAME"),
    (f'{WINDOW}[anomaly]\nmethod = "rms"\nlimit = 0\n', "anomaly.limit"),
    (f'{WINDOW}[anomaly]\nmethod = "guess"\nlimit = 1\n', "anomaly.method"),
    (f'labels = ["odd"]\n{WINDOW}{LIMITED}', "leave labels out"),
    (f'{WINDOW}mean = [0, 0]\nstd = [1, 1]\n{LIMITED}', "leave mean and std out"),
    (f'{WINDOW}{LIMITED}'.replace('["x", "y"]', '["x"]'), "median has to be finite floats of shape [1]"),
    (f'{WINDOW}{LIMITED}'.replace('"rms"', '"mahalanobis"'), "mean is missing; make it anew with reflexctl calibrate"),
    (f'{WINDOW}{LIMITED}'.replace('"rms"', '"autoencoder"'), "the file is cut off or damaged"),
])
def test_a_bundle_that_cannot_measure_is_refused(more, said, tmp_path):
    folder = series_bundle(tmp_path, packed(FITTED["rms"]), "anomaly", more, "npz")
    assert said in error_of(lambda: open_model(find_bundle(str(folder)), Options()))


def test_a_network_that_gives_no_window_again_is_no_autoencoder(tmp_path):
    more = '[window]\nchannels = ["a", "b"]\nrate_hz = 20\nlength = 12\n[anomaly]\nmethod = "autoencoder"\nlimit = 1.0\n'
    folder = series_bundle(tmp_path, (SERIES / "conv.tflite").read_bytes(), "anomaly", more)
    bundle = find_bundle(str(folder))
    assert "an autoencoder takes a window and gives as many numbers, here 24" in error_of(lambda: open_model(bundle, Options()))


ODD = st.builds(lambda seed, size, kind: np.random.default_rng(seed).normal(0, 9, size).astype(kind),
                st.integers(0, 1000), st.lists(st.sampled_from([0, 1, 2, 26, 40]), max_size=3),
                st.sampled_from(["i4", "f4", "f8", "U3"]))


@settings(max_examples=60, deadline=None)
@given(method=st.sampled_from(sorted(FITTED)), data=st.data())
def test_whatever_stands_in_the_statistics_they_measure_or_are_refused(method, data):
    arrays = dict(FITTED[method])
    for name in data.draw(st.lists(st.sampled_from(sorted(arrays)), min_size=1, max_size=3)):
        arrays[name] = data.draw(ODD)
    line = error_of(lambda: measured(method, arrays))
    assert line == "" or line.startswith("it: ")


def measured(method, arrays) -> None:
    assert normality.distance(method, arrays, 2, "it").of(NORMAL[0]) >= 0


def test_statistics_name_the_features_that_they_are_of():
    for method in FITTED:
        assert tuple(FITTED[method]["features"]) == features.NAMES

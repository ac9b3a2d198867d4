"""Classic learners say on the device what scikit-learn says, and a file that is no learner is refused."""

import io
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reflexd_models import features, learners
from reflexd_models.base import ModelError, SeriesModel
from reflexd_models.bundle import find_bundle, open_model
from reflexd_models.tasks.features import Options
from tests.models.helpers import SERIES, error_of, packed, series_bundle

WINDOW = '[window]\nchannels = ["x", "y"]\nrate_hz = 100\nlength = 32\n'
KINDS = {"svm": 3, "svm-of-two": 2, "svm-rbf": 3, "svm-rbf-of-two": 2, "tree": 3, "forest": 3}


with np.load(SERIES / "learners.npz", allow_pickle=False) as read:
    MADE: dict[str, np.ndarray] = dict(read)


@pytest.fixture
def made() -> dict[str, np.ndarray]:
    return MADE


def arrays_of(made, kind) -> dict[str, np.ndarray]:
    return {key.removeprefix(f"{kind}/"): value for key, value in made.items()
            if key.startswith(f"{kind}/") and not key.endswith("/told")}


def bundle(folder, content, labels):
    named = ", ".join(f'"{at}"' for at in range(labels))
    return find_bundle(str(series_bundle(folder / "it", content, "features", f"labels = [{named}]\n{WINDOW}", "npz")))


def opened(folder, arrays, labels=3):
    return open_model(bundle(folder, packed(arrays), labels), Options())


@pytest.mark.parametrize(("kind", "labels"), KINDS.items())
def test_scores_are_those_of_scikit_learn(kind, labels, made):
    learner = learners.learner(arrays_of(made, kind), features.count(2), labels, kind)
    found = np.array([learner.scores(row) for row in made["table"]])
    assert np.abs(found - made[f"{kind}/told"]).max() < 1e-6
    assert np.ptp(found, axis=0).min() > 0.2       # the windows are not all the same to it


def test_features_are_those_that_the_learners_were_fitted_on(made):
    np.testing.assert_allclose(features.table(made["windows"]), made["table"], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("kind", "labels"), KINDS.items())
def test_a_bundle_gives_all_scores_of_a_window_whatever_is_watched(kind, labels, made, tmp_path):
    model = open_model(bundle(tmp_path, packed(arrays_of(made, kind)), labels), Options(), frozenset({"1"}))
    assert isinstance(model, SeriesModel)
    assert model.shape == (("x", "y"), 100.0, 32, 16)
    said = model.predict(made["windows"][3], 77)
    assert said.taken_at == 77
    assert list(said.scores) == [str(at) for at in range(labels)]
    assert list(said.scores.values()) == pytest.approx(made[f"{kind}/told"][3].tolist(), abs=1e-6)
    assert all(type(score) is float for score in said.scores.values())


def test_what_a_feature_tells_is_what_it_is_called():
    at = np.arange(1000) / 1000
    window = np.stack((3 + 2 * np.sin(2 * np.pi * 301 * at), np.full(1000, 5.0), np.random.default_rng(1).normal(0, 2, 1000)), 1)
    tone, still, noise = (dict(zip(features.NAMES, row, strict=True)) for row in features.of(window).reshape(3, -1))
    assert tone["mean"] == pytest.approx(3)
    assert tone["std"] == pytest.approx(2**0.5)
    assert tone["rms"] == pytest.approx(11**0.5)
    assert tone["crest"] == pytest.approx(2**0.5, rel=0.01)
    assert tone["kurtosis"] == pytest.approx(1.5)
    assert tone["band6"] == pytest.approx(np.log10(2**0.5), abs=0.01)          # 301 of 500 Hz
    assert max(tone[f"band{band}"] for band in range(1, 6)) < -2
    assert noise["kurtosis"] == pytest.approx(3, abs=0.4)
    assert sum(10 ** (2 * noise[f"band{band}"]) for band in range(1, 7)) == pytest.approx(noise["std"] ** 2, rel=0.1)
    assert (still["std"], still["peak"], still["crest"], still["kurtosis"], still["step"], still["band6"]) == (0, 0, 0, 0, 0, -9)


@pytest.mark.parametrize("length", [1, 2, 3, 7, 1001])
def test_every_length_of_window_has_features_that_are_numbers(length):
    window = np.random.default_rng(2).normal(0, 1, (length, 2)).astype(np.float32)
    found = features.of(window)
    assert found.shape == (features.count(2),)
    assert np.isfinite(found).all()


def test_a_window_with_a_hole_or_of_another_shape_is_refused(made, tmp_path):
    model = opened(tmp_path, arrays_of(made, "tree"))
    holed = made["windows"][0].copy()
    holed[3, 1] = np.nan
    with pytest.raises(ModelError, match=r"no number \(nan or inf\)"):
        model.predict(holed, 0)
    with pytest.raises(ModelError, match=r"takes windows of \[32, 2\]"):
        model.predict(holed[:-1], 0)


def test_a_learner_that_gives_no_number_is_told(made, tmp_path):
    arrays = changed(arrays_of(made, "svm"), std=np.full(26, 1e-300), weights=np.full((3, 26), 1.0) * np.resize((1, -1), 26))
    model = opened(tmp_path, arrays)
    with pytest.raises(ModelError, match="gave no number"):
        model.predict(np.full((32, 2), 1e30, np.float32), 0)


def changed(arrays, **new):
    return {**arrays, **new}


FOREST_FAULTS = {
    "a way back": lambda a: changed(a, left=np.where(a["left"] < 0, -1, 0).astype(np.int32)),
    "a node of two": lambda a: changed(a, right=np.where(a["left"] < 0, a["right"], a["left"])),
    "outside": lambda a: changed(a, left=np.where(a["left"] < 0, -1, 1 << 20).astype(np.int32)),
    "a feature that is none": lambda a: changed(a, feature=np.full_like(a["feature"], 99)),
    "no roots": lambda a: changed(a, roots=a["roots"][:0]),
    "a root inside": lambda a: changed(a, roots=np.array([1], np.int32)),
    "nan": lambda a: changed(a, threshold=np.full_like(a["threshold"], np.nan)),
    "no shares": lambda a: changed(a, value=a["value"] * 2),
    "less than nothing": lambda a: changed(a, value=a["value"] - np.array([2, -1, -1], np.float32)),
    "short": lambda a: changed(a, right=a["right"][:-1]),
    "no whole numbers": lambda a: changed(a, left=a["left"].astype(np.float32)),
    "too deep": lambda a: changed(a, **chain(70, 3)),
    "other features": lambda a: changed(a, features=np.array(["rms"])),
    "a kind that is none": lambda a: changed(a, kind=np.array("boost")),
    "a kind of numbers": lambda a: changed(a, kind=np.arange(3)),
    "nothing": lambda a: {},
}
SVM_FAULTS = {
    "nan": lambda a: changed(a, weights=a["weights"] * np.nan),
    "a missing part": lambda a: {key: value for key, value in a.items() if key != "platt"},
    "no spread": lambda a: changed(a, std=np.zeros_like(a["std"])),
    "transposed": lambda a: changed(a, weights=a["weights"].T),
    "of another window": lambda a: changed(a, mean=a["mean"][:-1], std=a["std"][:-1]),
    "no vectors": lambda a: changed(a, vectors=np.zeros((0, 26)), weights=np.zeros((3, 0)), gamma=np.array(1.0)),
}


def chain(depth: int, labels: int) -> dict[str, np.ndarray]:
    """Make a tree that goes down on the left only."""
    left, right = np.full((2, 2 * depth + 1), -1, np.int32)
    left[:-1:2], right[:-1:2] = np.arange(2, 2 * depth + 1, 2), np.arange(1, 2 * depth, 2)
    return {"roots": np.zeros(1, np.int32), "left": left, "right": right, "feature": np.zeros(len(left), np.int16),
            "threshold": np.zeros(len(left)), "value": np.full((len(left), labels), 1 / labels)}


def test_a_deep_tree_is_gone_down_to_its_end(made, tmp_path):
    deep = chain(64, 3)
    deep["value"][-1] = (1, 0, 0)
    model = opened(tmp_path, changed(arrays_of(made, "tree"), **deep))
    assert model.predict(np.full((32, 2), -1, np.float32), 0).scores == {"0": 1.0, "1": 0.0, "2": 0.0}


FAULTS = [*[("forest", name) for name in FOREST_FAULTS], *[("svm", name) for name in SVM_FAULTS]]


@pytest.mark.parametrize(("kind", "fault"), FAULTS)
def test_a_learner_that_is_none_is_refused_in_a_line(kind, fault, made, tmp_path):
    faults = FOREST_FAULTS if kind == "forest" else SVM_FAULTS
    line = error_of(lambda: opened(tmp_path, faults[fault](arrays_of(made, kind))))
    assert "it.npz: " in line


@pytest.mark.parametrize(("more", "said"), [
    ('labels = ["a", "b", "c"]\n', "add [window]"),
    (f'labels = ["a", "b", "a"]\n{WINDOW}', "a label of its own"),
    (f'labels = ["a"]\n{WINDOW}', "at least two labels"),
    (f'labels = ["a", "b"]\n{WINDOW}', "2 labels"),
    (f'labels = ["a", "b", "c"]\n{WINDOW}mean = [0, 0]\nstd = [1, 1]\n', "leave mean and std out"),
])
def test_a_bundle_that_contradicts_its_learner_is_refused(more, said, made, tmp_path):
    folder = series_bundle(tmp_path, packed(arrays_of(made, "tree")), "features", more, "npz")
    assert said in error_of(lambda: open_model(find_bundle(str(folder)), Options()))


ARRAYS = st.builds(lambda seed, size, kind: np.random.default_rng(seed).integers(-3, 60, size).astype(kind),
                   st.integers(0, 1000), st.lists(st.integers(0, 40), max_size=3),
                   st.sampled_from(["i1", "i4", "u8", "f4", "f8", "?", "U3", "c8"]))


@settings(max_examples=120, deadline=None)
@given(st.data())
def test_whatever_stands_in_a_learners_arrays_it_ends_with_scores_or_a_refusal(data):
    arrays = arrays_of(MADE, data.draw(st.sampled_from(sorted(KINDS))))
    for name in data.draw(st.lists(st.sampled_from(sorted(arrays)), min_size=1, max_size=4)):
        arrays[name] = data.draw(ARRAYS)
    line = error_of(lambda: scored(arrays))
    assert line == "" or line.startswith("it: ")


def scored(arrays) -> None:
    features.check_names(arrays, "it")
    scores = learners.learner(arrays, features.count(2), 3, "it").scores(np.zeros(features.count(2)))
    assert np.isfinite(scores).all()
    assert scores.sum() == pytest.approx(1, abs=1e-2)


@settings(max_examples=120, deadline=None)
@given(st.data())
def test_a_damaged_file_of_a_learner_is_refused_or_answers(data):
    content = bytearray(packed({"kind": np.array("forest"), "features": np.array(features.NAMES), **chain(3, 2)}))
    for at in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=4)):
        content[at] = data.draw(st.integers(0, 255))
    del content[data.draw(st.integers(1, len(content))) :]
    said = error_of(lambda: scored_file(bytes(content)))
    assert said == "" or said.startswith("it: ")


def scored_file(content: bytes) -> None:
    from reflexd_models import files

    arrays = files.arrays(content, "it", 1 << 20, "the learner")
    features.check_names(arrays, "it")
    learners.learner(arrays, features.count(2), 2, "it").scores(np.zeros(features.count(2)))


def test_an_array_that_claims_more_than_it_holds_is_refused(tmp_path):
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as archive:
        for name, value in {"kind": np.array("forest"), **chain(3, 3)}.items():
            one = io.BytesIO()
            np.save(one, value)
            huge = one.getvalue().replace(b"(7,), }" + b" " * 11, b"(999999999999,), }")
            assert len(huge) == len(one.getvalue())
            assert name != "left" or b"999999999999" in huge
            archive.writestr(f"{name}.npy", huge if name == "left" else one.getvalue())
    line = error_of(lambda: open_model(bundle(tmp_path, whole.getvalue(), 3), Options()))
    assert "not a sound .npz file" in line

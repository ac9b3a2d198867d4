"""Every bundle that ships opens, answers as where it was made, is small, and is as good as its card says on what it never saw."""

import gzip
import json
import re

import numpy as np
import pytest

from reflexd_models import tasks
from reflexd_models.about import read
from reflexd_models.bundle import ABOUT, find_bundle, open_model, shipped, zoo
from reflexd_models.image import Still
from training import vibration

SIZES = {"meter": 100_000, "digits-a": 360_000, "digits-b": 230_000, "vibration-forest": 120_000}
VIBRATION_SIZE = 20_000
ACCURACY = {"digits-a": 0.96, "digits-b": 0.955, "vibration-tree": 0.9}
VIBRATION_ACCURACY = 0.98
MADE_HERE = [name for name in shipped() if name != "meter"]
VIBRATION = [name for name in MADE_HERE if name.startswith("vibration")]
CHECKED = {"digits-a": 0.94, "digits-b": 0.935, "vibration-tree": 0.9}      # of 500 pictures, or of a few machines
CHECKED_VIBRATION = 0.96


def opened(name):
    bundle = find_bundle(name)
    options = tasks.load(bundle.task).Options
    return open_model(bundle, options.model_validate({"regions": [[0, 0, 1, 1]]} if bundle.task == "regions" else {}))


def said(name):
    return json.loads((zoo() / name / "figures.json").read_text())


def unpacked(path, head):
    return np.frombuffer(gzip.decompress(path.read_bytes()), np.uint8, offset=head)


def share(model, inputs, truth):
    told = [model.predict(one, 0) for one in inputs]
    return float(np.mean([max(one.scores, key=one.scores.get) == label for one, label in zip(told, truth, strict=True)]))


def test_all_ship_that_should():
    vibration = [f"vibration-{kind}" for kind in ("conv", "forest", "gru", "lstm", "rnn", "svm", "tree")]
    assert shipped() == ["digits-a", "digits-b", "meter", *vibration]


@pytest.mark.parametrize("name", shipped())
def test_it_opens_with_its_golden_case_and_a_card(name):
    about = read(zoo() / name / ABOUT)
    assert about.golden is not None
    assert about.held_out
    assert opened(name)
    assert (zoo() / name / str(about.card)).read_text().startswith(f"# {name}: ")


@pytest.mark.parametrize("name", shipped())
def test_it_is_small(name):
    assert find_bundle(name).path.stat().st_size <= SIZES.get(name, VIBRATION_SIZE)


@pytest.mark.parametrize("name", MADE_HERE)
def test_its_card_tells_the_figures_that_were_measured(name):
    figures, card = said(name), (zoo() / name / "MODEL_CARD.md").read_text()
    assert figures.pop("command") == f"./scripts/train {name}"
    assert f"`./scripts/train {name}`" in card
    told = dict(re.findall(r"^\| ([a-z_ ]+\w) \| ([\d.e-]+) \|$", card, re.M))
    assert told == {key: f"{value:g}" for key, value in figures.items()}
    assert figures["size_bytes"] == find_bundle(name).path.stat().st_size
    assert figures["accuracy"] >= ACCURACY.get(name, VIBRATION_ACCURACY)
    assert figures.get("quantization_loss", 0) <= 0.005


@pytest.mark.parametrize("name", ["digits-a", "digits-b"])
def test_it_reads_written_digits_that_it_never_saw(name, shared):
    folder = shared / "data" / "mnist"
    x = unpacked(folder / "t10k-images-idx3-ubyte.gz", 16).reshape(-1, 28, 28)[::20]
    y = unpacked(folder / "t10k-labels-idx1-ubyte.gz", 8)[::20]
    assert share(opened(name), [Still("grey", (one,)) for one in x], [str(digit) for digit in y]) >= CHECKED[name]


@pytest.fixture(scope="module")
def strangers():
    """Generate machines that no training knew: their seed is of this test alone."""
    return vibration.dataset(vibration.draw_machines(5, 404), 2.5, 404)


@pytest.mark.parametrize("name", VIBRATION)
def test_it_judges_machines_that_it_never_saw(name, strangers):
    truth = [vibration.LABELS[label] for label in strangers.y]
    assert share(opened(name), strangers.x, truth) >= CHECKED.get(name, CHECKED_VIBRATION)


@pytest.fixture(scope="module")
def fan(shared):
    """Give windows of a real ceiling fan, 100 samples a second, and what it did. Nothing that ships was trained on it."""
    with np.load(shared / "data" / "fan_vibration.npz", allow_pickle=False) as found:      # 200 samples a second there
        x, kind = found["x"][::31], found["dataset"][::31]
    return x.reshape(-1, 100, 2, 3).mean(2), kind


@pytest.mark.parametrize("name", VIBRATION)
def test_a_real_fan_that_stands_still_is_off_and_one_that_runs_is_not(name, fan):
    model, (x, kind) = opened(name), fan
    off = np.array([max(scores, key=scores.get) == "off" for scores in (model.predict(one, 0).scores for one in x)])
    assert off[kind == "fan_0_off_0_weight"].mean() >= 0.8
    assert off[np.char.startswith(kind, "fan_0_med") | np.char.startswith(kind, "fan_0_high")].mean() <= 0.05

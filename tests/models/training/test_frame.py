"""The frame of the training: what is asked for, what a bar does, what is written, and the report."""

import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from reflexd_models import about
from training import command, judge, one, package, plots, recipe, report
from training.judge import Judged
from training.recipe import AtLeast, AtMost, How, Trained

TRUTH = np.array([0, 0, 1, 1, 1, 1])
SCORES = np.array([[0.95, 0.05], [0.85, 0.15], [0.05, 0.95], [0.15, 0.85], [0.05, 0.95], [0.75, 0.25]])
SAID = Judged(TRUTH, SCORES, np.array(["a", "a", "b", "b", "c", "c"]), ("left <", "right"))


@dataclass(frozen=True)
class Coin:
    """A recipe without a network: five of six answers are right."""

    least: float
    name: str = "coin"
    file_name: str = "coin.tflite"
    purpose: str = "which side is up"
    text: str = "It is a coin."
    limits: tuple[str, ...] = ("It may roll away.",)
    licence: str = "none"

    def bars(self, small):
        return AtLeast("accuracy", self.least / 2 if small else self.least), AtMost("size_bytes", 10)

    def train(self, how):
        window = {"channels": ["x"], "rate_hz": 10, "length": 2, "state": {"h": "h+"}}
        told = {"task": "sequence", "labels": SAID.labels, "window": window}
        golden = {"given": np.zeros((1, 2, 1), np.float32), "told": np.full((1, 2), 0.5)}
        return Trained(b"coin", told, golden, 0.1, SAID, SAID, facts={"given": "a toss"})


@pytest.fixture
def made(tmp_path):
    """Make a coin of that bar; give its figures, what fell short, and its folder."""
    def make(least, small=False):
        _, figures, short = one.make(Coin(least), tmp_path, How(small, tmp_path, tmp_path, print))
        return figures, short, tmp_path / "coin"
    return make


def test_what_reaches_its_bars_becomes_a_bundle_that_the_daemon_reads(made):
    figures, short, folder = made(0.8)
    assert short == ()
    said = about.read(folder / "model.toml")
    assert (said.name, said.labels, said.golden.file) == ("coin", SAID.labels, "golden.npz")
    assert said.window.state == {"h": "h+"}
    assert figures["accuracy"] == pytest.approx(5 / 6, abs=1e-4)
    assert f"| accuracy | {figures['accuracy']:g} |" in (folder / "MODEL_CARD.md").read_text()
    assert "quantization_loss" in (folder / "MODEL_CARD.md").read_text()


def test_what_falls_short_is_named_and_not_written(made):
    _, short, folder = made(0.9)
    assert short == ("accuracy 0.8333 < 0.9",)
    assert not folder.exists()


def test_a_small_run_has_bars_of_its_own(made):
    assert made(0.9, small=True)[1] == ()


def test_a_figure_that_is_missing_is_short():
    assert AtLeast("accuracy", 0.5).short({}) == "accuracy None < 0.5"
    assert AtMost("size_bytes", 5).short({"size_bytes": 6}) == "size_bytes 6 > 5"


def test_figures_are_those_of_the_answers():
    assert judge.confusion(SAID).tolist() == [[2, 0], [1, 3]]
    assert judge.by_group(SAID) == {"a": 1.0, "b": 1.0, "c": 0.5}
    figures = judge.figures(SAID, None, 7)
    assert (figures["worst_group"], figures["recall right"], figures["size_bytes"]) == (0.5, 0.75, 7)
    assert [(round(score, 2), share, count) for score, share, count in judge.reliability(SAID)] == \
        [(0.75, 0.0, 1), (0.85, 1.0, 2), (0.95, 1.0, 3)]
    assert judge.calibration_error(SAID) == pytest.approx((0.75 + 2 * 0.15 + 3 * 0.05) / 6)


@pytest.mark.parametrize("plot", [*(draw(SAID) for draw in (plots.confusion, plots.reliability, plots.scores)),
                                  plots.bars({"a<": 0.5}, "c")])
def test_plots_are_whole_and_escaped(plot):
    assert ET.fromstring(plot).find("svg") is not None      # our own text


def test_the_report_tells_what_was_reached_what_was_not_and_what_broke():
    page = report.page([
        report.Told("good", "p", {"accuracy": 0.9}, (), 3, SAID),
        report.Told("poor", "p", {}, ("accuracy 0.1 < 0.9",), 3, SAID),
        report.Told("broken", "p", {}, (), 1, None, "ended with status -11: ..."),
    ], "./scripts/train all")
    assert page.count("<svg") == 8
    for text in ("Bars: met", "Bars: accuracy 0.1 &lt; 0.9", "Bars: ended with status -11"):
        assert text in page


def test_every_network_that_ships_has_a_recipe_and_bars():
    for name in command.MODULES:
        found = recipe.recipe(name)
        assert found.name == name
        assert found.purpose
        for small in (True, False):
            assert {bar.name for bar in found.bars(small)} >= {"size_bytes"}


@pytest.mark.parametrize(("words", "told"), [
    (["vibration-lsmt"], 'there is no network called "vibration-lsmt"; did you mean vibration-lstm?'),
    (["zebra"], "there are digits-a"), ([], "required"), (["meter", "--jobs", "0"], "--jobs: at least 1, found 0"),
    (["meter", "--small", "--out", str(command.ZOO)], "does not ship"),
])
def test_a_wrong_word_is_told(words, told, capsys):
    with pytest.raises(SystemExit) as ended:
        command.arguments(words)
    assert ended.value.code == 2
    assert told in capsys.readouterr().err


def test_a_small_run_writes_nothing_into_the_zoo():
    assert command.arguments(["all"]).out == command.ZOO
    small = command.arguments(["all", "--small"])
    assert command.ZOO not in (small.out, *small.out.parents)
    assert small.names == tuple(command.MODULES)


def test_a_bundle_is_replaced_file_by_file(tmp_path: Path):
    package.replace(tmp_path / "file", b"old")
    package.replace(tmp_path / "file", b"new")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("file", b"new")]

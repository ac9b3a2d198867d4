"""reflexctl model add, install, list, inspect, remove: what they do, and one line for everything that cannot be."""

import argparse
import json
import os
import shutil

import numpy as np
import pytest

from reflexd.ctl import model as verb
from reflexd_models import about, anatomy
from reflexd_models.base import Detection, Prediction, Shape
from reflexd_models.bundle import find_bundle, zoo
from reflexd_models.operators import NAMES
from tests.models.helpers import MODELS, error_of, meter_copy, rewrite


@pytest.fixture
def ctl(tmp_path, capfd):
    """Run a verb on a state directory of its own, without a daemon; give its status, its output and its errors."""
    def command(what, *words, config=None):
        parser = argparse.ArgumentParser()
        verb.add_arguments(parser)
        more = ["--state-dir", tmp_path / "state"]
        if what in ("add", "install", "list", "remove"):
            more += ["--socket", tmp_path / "none"]
        if what in ("list", "remove"):
            more += ["--config", config or tmp_path / "absent.toml"]
        status = verb.run(parser.parse_args([what, *[str(word) for word in (*words, *more)]]))
        return status, *capfd.readouterr()
    return command


@pytest.fixture
def added(shared, ctl, tmp_path):
    (tmp_path / "labels.txt").write_text('no "person"\nper\\son\n')
    status, out, _ = ctl("add", shared / "models" / "vww96_int8.tflite", "--as", "person", "--labels", tmp_path / "labels.txt",
                         "--size", "96x96", "--task", "classify", "--json")
    assert status == 0
    return json.loads(out)


def test_any_file_becomes_a_bundle_that_proves_itself(added, ctl, tmp_path):
    assert (added["name"], added["files"]) == ("person", ["golden.npz", "model.toml", "person.tflite"])
    assert "no daemon runs" in added["daemon"]["why"]
    bundle = find_bundle("person", tmp_path / "state")
    assert (bundle.labels, bundle.input.width, bundle.golden is not None) == (('no "person"', "per\\son"), 96, True)
    rows = {row["name"]: row for row in json.loads(ctl("list", "--json")[1])["bundles"]}
    assert (rows["person"]["from"], rows["meter"]["from"], rows["person"]["labels"]) == ("added", "shipped", 2)
    status, out, _ = ctl("inspect", "person", "--json")
    told = json.loads(out)
    assert (status, told["hash"], told["golden"]) == (0, "as model.toml has it", "it holds, within 26")
    assert (told["inputs"][0]["shape"], told["inputs"][0]["dtype"]) == ([1, 96, 96, 3], "int8")
    assert {"name": "CONV_2D", "version": 3, "count": 14} in told["operators"]
    assert all(ms > 0 for one in told["runtimes"] for ms in one["ms"].values())
    assert list(told["runtimes"][0]["ms"]) == ["1", "2", "3", "4"]


def test_what_a_configuration_names_is_removed_by_force_only(added, ctl, tmp_path):
    config = tmp_path / "etc" / "reflexd.toml"
    (config.parent / "conf.d").mkdir(parents=True)
    config.write_text("= wrong")
    (config.parent / "conf.d" / "10.toml").write_text('[model.gate]\nbundle = "person"\ncamera = "x"\n')
    status, _, err = ctl("remove", "person", config=config)
    wanted = f'reflexctl: bundle "person": is used by model.gate in {config.parent}; change that first, or say --force\n'
    assert (status, err) == (1, wanted)
    assert "model.gate in" in ctl("list", config=config)[1]
    status, out, _ = ctl("remove", "person", "--force", config=config)
    assert (status, "person is removed" in out) == (0, True)
    assert list((tmp_path / "state" / "bundles").iterdir()) == []
    assert "added are none" in ctl("remove", "person")[2]
    assert "it is shipped with reflexd and stays" in ctl("remove", "meter")[2]


def test_a_shipped_bundle_is_covered_by_an_installed_one_and_stands_again_after_it(ctl, tmp_path):
    folder = meter_copy(tmp_path)
    rewrite(folder, "threshold = 0.6", "threshold = 0.7")
    assert ctl("install", folder)[0] == 0
    assert find_bundle("meter", tmp_path / "state").threshold == 0.7
    status, out, _ = ctl("remove", "meter")
    assert (status, 'the shipped "meter" stands for that name again' in out) == (0, True)
    assert find_bundle("meter", tmp_path / "state").threshold == 0.6


def without_golden(folder):
    (folder / "golden.npz").unlink()
    text = (folder / "model.toml").read_text()
    (folder / "model.toml").write_text(text[: text.index("[golden]")])


def wrong_golden(folder):
    with np.load(folder / "golden.npz") as case:
        np.savez(folder / "golden.npz", given=case["given"], told=case["told"][::-1])


@pytest.mark.parametrize(("damage", "said"), [
    (without_golden, "there is no golden case"), (wrong_golden, "meter/golden.npz: the network answers otherwise"),
    (lambda folder: os.truncate(folder / "meter.tflite", 9999), "sha256 should be"),
    (lambda folder: rewrite(folder, '"9", ', ""), "there are 10 labels"),
    (lambda folder: rewrite(folder, 'name = "meter"', 'name = "a b"'), "the name of a bundle"),
    (lambda folder: rewrite(folder, "schema = 1", "schema" + ".a" * 20_000 + " = 1"), "a key has more than 100 parts"),
    (shutil.rmtree, "cannot be opened")])
def test_what_cannot_be_installed_gives_one_line(damage, said, ctl, tmp_path):
    folder = meter_copy(tmp_path)
    damage(folder)
    status, _, err = ctl("install", folder)
    assert (status, said in err, err.count("\n")) == (1, True, 1), err
    assert not list((tmp_path / "state").rglob("meter*"))


@pytest.mark.parametrize(("words", "said"), [
    (["{m}/vww96_int8.tflite"], "labels"), (["{m}/vww96_int8.tflite", "--size", "0x3"], "WIDTHxHEIGHT"),
    (["{m}/mobilenet_v1_0.25_224_quant_meta.tflite", "--size", "96x96"], "[input] of the bundle does not fit"),
    (["{m}/vww96_int8.tflite", "--task", "dance"], 'there is none called "dance"'),
    (["{m}/vww96_int8.tflite", "--as", "../x"], "the name of a bundle"),
    (["{m}/person_detect_refused.tflite"], "refuses the network"), (["{m}/coco_labels.txt"], "TFL3"), (["/dev/zero"], "a device"),
    (["{m}/vww96_int8.tflite", "--mean", "1"], "they go together")])
def test_what_cannot_be_added_gives_one_line(words, said, shared, ctl, tmp_path):
    status, _, err = ctl("add", *[word.format(m=shared / "models") for word in words])
    assert (status, said in err, err.count("\n")) == (1, True, 1), err
    assert not list((tmp_path / "state").rglob("*.tflite"))


def test_a_refused_file_is_inspected_as_far_as_it_goes(shared, ctl, tmp_path):
    status, out, err = ctl("inspect", shared / "models" / "person_detect_refused.tflite")
    assert (status, err) == (1, "")
    assert "CONV_2D v2 x14" in out
    assert "refuses the network" in out
    (tmp_path / "cut.tflite").write_bytes((shared / "models" / "vww96_int8.tflite").read_bytes()[:9000])
    status, out, _ = ctl("inspect", tmp_path / "cut.tflite")
    assert (status, "is cut off or damaged" in out, "9000 bytes, sha256" in out) == (1, True, True)
    assert "cannot be opened" in ctl("inspect", tmp_path / "absent.tflite")[2]
    folder = meter_copy(tmp_path)
    wrong_golden(folder)
    status, out, _ = ctl("inspect", folder, "--no-run")
    assert (status, "it does not hold" in out) == (1, True)


@pytest.mark.parametrize("name", MODELS)
def test_the_anatomy_is_what_a_runtime_says(name, shared):
    content = (shared / "models" / f"{name}.tflite").read_bytes()
    found = anatomy.read(content, name)
    assert all(one.dtype in ("uint8", "int8", "float32") for one in (*found.inputs, *found.outputs))
    if name != "person_detect_refused":
        from reflexd_models.runtime import Network

        network = Network(content, name)
        for ours, theirs in ((found.inputs, network.inputs), (found.outputs, network.outputs)):
            assert [(one.name, one.dtype, one.zero_point) for one in ours] == [
                (one.name, one.dtype.name, one.zero_point) for one in theirs]
            assert [one.scale for one in ours] == pytest.approx([one.scale for one in theirs])
    if name.startswith("coco"):
        assert [one.name for one in found.operators][-1] == "TFLite_Detection_PostProcess"


def test_the_operators_have_the_names_of_the_schema():
    assert (NAMES[0], NAMES[3], NAMES[32], NAMES[117], NAMES[126], len(NAMES)) == (
        "ADD", "CONV_2D", "CUSTOM", "HARD_SWISH", "BATCH_MATMUL", 162)


def test_strings_of_a_description_are_read_back(tmp_path):
    from reflexd_models.bundle import Bundle
    from reflexd_models.making import _described

    strange = ('a"b', "c\\d", "tab\t", "\x7f", "ä€😀", "\x01")
    text = _described(Bundle("x", tmp_path / "x.tflite", "classify", strange), "x", "0" * 64, 0.5)
    (tmp_path / "model.toml").write_text(text)
    assert about.read(tmp_path / "model.toml").labels == strange


class Fan:
    """A model of readings, as SeriesModel has it."""

    labels = ("still", "runs")
    shape = Shape(("x", "y"), 100.0, 4, 2)

    def predict(self, window, taken_at):
        assert window.shape == (4, 2)
        assert window.dtype == np.float32
        runs = float(window.max() > 1)
        return Prediction(taken_at, {"still": 1 - runs, "runs": runs}, value=float(window.mean()))


@pytest.mark.parametrize("suffix", [".csv", ".npz"])
def test_windows_of_a_recording_are_tried_hop_by_hop(suffix, tmp_path):
    from reflexd.ctl.model import trying

    rows = np.zeros((8, 2), np.float32)
    rows[6:] = 3
    path = tmp_path / f"recorded{suffix}"
    if suffix == ".csv":
        path.write_text("x,y\n" + "\n".join(f"{x};{y}" for x, y in rows) + "\n")
    else:
        np.savez(path, x=rows)
    told = trying._on_windows(Fan(), path)
    assert [one["sample"] for one in told] == [0, 2, 4]
    assert told[2]["scores"][0] == {"label": "runs", "score": 1.0}
    assert trying._lines(told[2]) == ["  1.000  runs", "  0.000  still", "  value 1.5"]


@pytest.mark.parametrize(("text", "said"), [
    ("1,2\n3\n", "is not a table of numbers"), ("1,2\nx,y\n", "is not a table of numbers"),
    ("1,2\n3,4\n", "expected 4 rows or more"),
    ("1,2,3\n" * 9, "2 columns (x, y)"), ("nan,1\n" * 9, "not all of it are numbers"), ("", "expected 4 rows")])
def test_recordings_that_are_none_give_one_line(text, said, tmp_path):
    from reflexd.ctl.model import trying

    (tmp_path / "r.csv").write_text(text)
    assert said in error_of(lambda: trying._on_windows(Fan(), tmp_path / "r.csv"))


def test_detections_are_told_with_their_boxes():
    from reflexd.ctl.model import trying

    found = Prediction(0, {"cat": 0.9}, detections=(Detection("cat", 0.9, (0.1, 0.2, 0.3, 0.4)),))
    assert trying._lines(trying._told(found, True)) == ["  0.900  cat  left 0.100, top 0.200, right 0.300, bottom 0.400"]
    assert trying._lines(trying._told(Prediction(0, {"cat": 0.0}), True)) == ["  nothing"]


def test_the_zoo_is_listed(ctl):
    listed = {row["name"] for row in json.loads(ctl("list", "--json")[1])["bundles"]}
    assert listed >= {path.parent.name for path in zoo().glob("*/model.toml")}

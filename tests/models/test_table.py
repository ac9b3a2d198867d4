"""Every public file and every shipped bundle: its task and its labels are found, and known answers are met.

This runs on both runtimes: with tflite-runtime in the environment that scripts/test makes for it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pytest

from reflexd_models import ends, files, metadata, tasks
from reflexd_models.base import Model, ModelError, Prediction
from reflexd_models.bundle import find_bundle, load, of_file, open_camera_model, open_model, shipped, zoo
from reflexd_models.identify import identify
from tests.models.helpers import MODELS, error_of, picture

CAT, CHICKADEE = {"Egyptian cat"}, {"chickadee"}


@dataclass(frozen=True)
class Known:
    """What is known of a file; `sees` has the labels that are told of a picture, of a classifier the best one."""

    task: str
    decided: str
    labels: int = 0
    given: tuple[str, ...] | None = None
    sees: dict[str, set[str]] = field(default_factory=dict)


TABLE = {
    "ad01_int8": Known("anomaly", "by its shapes, [1, 640] to [1, 640]: it gives what it takes"),
    "coco_ssd_mobilenet_v1_quant_meta": Known(
        "detect", "by its operator TFLite_Detection_PostProcess", labels=90,
        sees={"cat.bmp": {"cat"}, "bird.bmp": {"bird"}, "cats_and_dogs.jpg": {"cat", "dog"},
              "grace_hopper.bmp": {"person", "tie"}}),
    "mobilenet_v1_0.25_128_quant": Known("classify", "by the one output [1, 1001] and 1001 labels inside", labels=1001),
    "mobilenet_v1_0.25_224_quant_meta": Known(
        "classify", "by the one output [1, 1001] and 1001 labels inside", labels=1001,
        sees={"cat.bmp": CAT, "cat_720p.jpg": CAT, "bird.bmp": CHICKADEE}),
    "person_detect_refused": Known("classify", "by its shapes, a picture [1, 96, 96, 1] to [1, 2]"),
    "vww96_int8": Known(
        "classify", "by its shapes, a picture [1, 96, 96, 3] to [1, 2]", given=("no_person", "person"),
        sees={"grace_hopper.bmp": {"person"}, "bird.bmp": {"person"}, "person.bmp": {"no_person"}}),     # two of them are wrong
}


@cache
def opened(path: Path) -> Model:
    """Open a public file, once, as its own task with no options."""
    bundle = of_file(path, TABLE[path.stem].given)
    return open_camera_model(bundle, tasks.load(bundle.task).Options())


def test_the_table_has_every_file(shared):
    assert {path.stem for path in (shared / "models").glob("*.tflite")} == set(MODELS) == set(TABLE)


@pytest.mark.parametrize("name", sorted(TABLE))
def test_a_public_file_tells_its_task_and_its_labels(name, shared):
    known, content = TABLE[name], (shared / "models" / f"{name}.tflite").read_bytes()
    inside = metadata.read(content, name)
    assert identify(ends.read(content), inside, len(inside.labels or ()), name) == (known.task, known.decided)
    assert len(inside.labels or ()) == known.labels
    if known.task in tasks.names():
        bundle = of_file(shared / "models" / f"{name}.tflite")
        assert (bundle.task, bundle.decided, len(bundle.labels)) == (known.task, known.decided, known.labels)


@pytest.mark.parametrize("name", sorted(name for name, known in TABLE.items() if known.sees))
def test_a_public_file_gives_its_known_answers(name, shared):
    known, model = TABLE[name], opened(shared / "models" / f"{name}.tflite")
    for file, wanted in known.sees.items():
        said = model.predict(picture(shared / "images" / file), 0)
        sees = detected if known.task == "detect" else classified
        sees(said, wanted)


def classified(said: Prediction, wanted: set[str]) -> None:
    assert {max(said.scores, key=said.scores.__getitem__)} == wanted


def detected(said: Prediction, wanted: set[str]) -> None:
    """Look that what is wanted is told, and nothing else as surely."""
    assert {one.label for one in said.detections if one.score >= 0.5} <= wanted <= {
        one.label for one in said.detections if one.score >= 0.45}
    assert [one.score for one in said.detections] == sorted((one.score for one in said.detections), reverse=True)
    assert {one.label: one.score for one in reversed(said.detections)} == {
        label: score for label, score in said.scores.items() if score}


def test_one_cat_and_one_bird_are_counted_as_one(shared):
    model = opened(shared / "models" / "coco_ssd_mobilenet_v1_quant_meta.tflite")
    for file, label in (("cat.bmp", "cat"), ("bird.bmp", "bird")):
        found = model.predict(picture(shared / "images" / file), 0).detections
        assert [one.label for one in found if one.score >= 0.5] == [label]


def test_the_file_that_no_runtime_loads_is_refused_in_one_clear_line(shared):
    path = shared / "models" / "person_detect_refused.tflite"
    said = error_of(lambda: load(of_file(path)))
    assert said.startswith(f"{path}: ")
    assert said.endswith("convert or fetch it again")


@pytest.mark.parametrize("name", shipped())
def test_a_shipped_bundle_is_sound_and_a_bare_copy_of_it_tells_its_task(name):
    bundle = find_bundle(name)
    assert bundle.task in tasks.names()
    assert bundle.golden is not None
    if tasks.load(bundle.task).Options.watches == "camera":
        assert bundle.labels
        load(bundle)                                                           # which checks hash and golden case
    else:
        open_model(bundle, tasks.load(bundle.task).Options())
    for path in (zoo() / name).glob("*.tflite"):
        assert bare_task(path, len(bundle.labels)) == {"regions": "classify"}.get(bundle.task, bundle.task)


def bare_task(path: Path, labels: int) -> str:
    content = files.read(path, files.MIB, "the network")
    return identify(ends.read(content), metadata.read(content, str(path)), labels, str(path)).task


def test_a_path_that_is_no_network_is_refused(tmp_path):
    (tmp_path / "x.tflite").write_bytes(b"\0\0\0\0TFL3" + bytes(40))
    with pytest.raises(ModelError, match=r"cannot be told|is cut off or damaged"):
        of_file(tmp_path / "x.tflite")

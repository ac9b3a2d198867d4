"""A bare file's task is told by metadata, then signature, then shapes; what is not decidable is refused."""

import json
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reflexd_models import ends, metadata
from reflexd_models.base import ModelError
from reflexd_models.bundle import of_file
from reflexd_models.ends import End, Ends
from reflexd_models.identify import identify
from reflexd_models.metadata import Metadata
from reflexd_models.runtime import Network
from tests.models.detectors import COLOURS, FOLDER
from tests.models.helpers import error_of
from tests.models.test_metadata import METER, archive

PICTURE = (1, 640, 640, 3)


def both(takes, gives, keys=()):
    """Make the ends of a network from its shapes."""
    named = [*keys, *[""] * (len(gives) - len(keys))]
    return Ends(tuple(End(at, f"in{at}", shape, True) for at, shape in enumerate(takes)),
                tuple(End(at, f"out{at}", shape, True, key) for at, (shape, key) in enumerate(zip(gives, named, strict=True))))


@pytest.mark.parametrize(("takes", "gives", "labels", "task"), [
    ([PICTURE], [(1, 10)], 0, "classify"),
    ([PICTURE], [(1, 1, 1, 10)], 0, "classify"),
    ([(1, 3, 224, 224)], [(1, 1000)], 0, "classify"),
    ([PICTURE], [(1, 84, 8400)], 80, "detect"),
    ([PICTURE], [(1, 84, 8400)], 0, "detect"),               # as many anchors as three grids have
    ([PICTURE], [(1, 8400, 84)], 0, "detect"),
    ([PICTURE], [(1, 300, 6)], 80, "detect"),
    ([PICTURE], [(1, 7, 99)], 3, "detect"),
    ([PICTURE], [(1, 25, 4), (1, 25), (1, 25), (1,)], 0, "detect"),
    ([PICTURE], [(1, 25), (1, 25, 4), (1,), (1, 25)], 0, "detect"),
    ([(1, 640)], [(1, 640)], 0, "anomaly"),
    ([(1, 100, 3)], [(1, 100, 3)], 0, "anomaly"),
    ([(1, 100, 3)], [(1, 4)], 0, "sequence"),
    ([(1, 3), (1, 16), (1, 16)], [(1, 16), (1, 4), (1, 16)], 0, "sequence"),
    ([(1, 1, 3), (1, 16)], [(1, 2), (1, 16)], 0, "sequence"),
])
def test_shapes_tell_the_task(takes, gives, labels, task):
    told = identify(both(takes, gives), Metadata(), labels, "x")
    assert told.task == task
    assert told.why.startswith("by its shapes")


@pytest.mark.fault("F49", bound="at start", outcome="refused: says what to write")
@pytest.mark.parametrize(("takes", "gives"), [
    ([PICTURE], [PICTURE]),                            # an autoencoder, or a mask, of pictures
    ([PICTURE], [(1, 300, 6)]),                        # without labels it may be anything
    ([PICTURE], [(1, 116, 8401), (1, 32, 160, 160)]),
    ([PICTURE], [(1, 1)]),
    ([(1, 640)], [(1, 4)]),                            # features, or sound
    ([(1, 3), (1, 16)], [(1, 4)]),
    ([], []),
])
def test_what_shapes_do_not_tell_is_refused_with_what_to_write(takes, gives):
    said = error_of(lambda: identify(both(takes, gives), Metadata(), 0, "x"))
    assert said.startswith("x: which task this network is for cannot be told: it takes ")
    assert said.endswith('name it with --task, or write task = "…" into a model.toml beside it')


def test_a_signature_goes_before_shapes():
    keys = ("detection_boxes", "detection_classes", "detection_scores", "num_detections")
    told = identify(both([PICTURE], [(), (), (), ()], keys), Metadata(), 0, "x")
    assert told == ("detect", "by the outputs detection_boxes, detection_classes, detection_scores of its signature")


def test_metadata_goes_before_everything():
    called = Metadata(outputs=("location", "category", "score", "number of detections"))
    assert identify(both([PICTURE], [(1, 10)]), called, 0, "x").task == "detect"
    assert identify(both([PICTURE], [(1, 84, 8400)]), Metadata(ultralytics="classify"), 0, "x").task == "classify"
    told = identify(both([PICTURE], [(1, 3)]), Metadata(labels=("a", "b", "c")), 3, "x")
    assert told == ("classify", "by the one output [1, 3] and 3 labels inside")


def test_what_ultralytics_makes_for_other_tasks_is_refused_by_its_name():
    said = error_of(lambda: identify(both([PICTURE], [(1, 56, 8400)]), Metadata(ultralytics="pose"), 1, "x"))
    assert said == ('x: is made by Ultralytics for the task "pose", which is not read here; '
                    "export a network for detect or classify")


def test_a_bundle_says_what_decided_and_a_task_that_is_asked_for_is_taken():
    file = FOLDER / "ultralytics.tflite"
    assert of_file(file).decided == 'by the task "detect" in its metadata.json'
    assert of_file(file).labels == tuple(COLOURS)
    assert (of_file(file).input.mean, of_file(file).input.std) == (0, 255)
    assert of_file(FOLDER / "ultralytics_int8.tflite").input.mean is None      # calibrated on pixels as they are
    asked = of_file(file, task="classify")
    assert (asked.task, asked.decided) == ("classify", "as asked")
    with pytest.raises(ModelError, match='there is no task called "dream"'):
        of_file(file, task="dream")


@pytest.mark.parametrize("text", [
    "{}", "[]", "7", '{"names": {}}', '{"names": {"a": "b"}}', '{"names": {"1": "b"}}', '{"names": {"0": "a", "2": "b"}}',
    '{"names": ["a"]}', "{", "[" * 100_000, '{"names": {"' + "9" * 5000 + '": "a"}}',
])
def test_a_damaged_metadata_json_is_refused(text):
    behind = archive(x=b"").replace(b"x.txt", b"y.txt")
    assert metadata.read(METER + behind, "x").ultralytics is None
    with pytest.raises(ModelError, match="the metadata inside is damaged"):
        metadata.read(METER + packed(text), "x")


def test_early_ultralytics_files_have_a_text_that_is_no_label():
    assert metadata.read(METER + archive(metadata=b"{'names': {0: 'a'}}"), "x").labels is None


def packed(text):
    import io
    import zipfile

    kept = io.BytesIO()
    with zipfile.ZipFile(kept, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("metadata.json", text)
    return kept.getvalue()


def test_classes_are_in_their_order_whatever_the_file_s():
    names = {str(number): f"label {number}" for number in (10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0)}
    found = metadata.read(METER + packed(json.dumps({"names": names, "task": "detect"})), "x")
    assert found.labels is not None
    assert (found.labels[2], found.labels[10], found.ultralytics) == ("label 2", "label 10", "detect")


@settings(max_examples=300, deadline=None)
@given(place=st.integers(0, 1 << 30), byte=st.integers(0, 255), cut=st.integers(0, 3000))
def test_one_changed_byte_or_a_cut_never_breaks_the_reader(place, byte, cut):
    content = bytearray((FOLDER / "tf2.tflite").read_bytes())
    content[place % len(content)] = byte
    for damaged in (bytes(content), bytes(content[:-cut])):
        try:
            assert len(ends.read(damaged).outputs) <= 1024
        except struct.error:
            continue


def test_a_damaged_file_is_taken_or_refused_in_one_line(tmp_path):
    rng, refused = np.random.default_rng(4), 0
    for number in range(200):
        content = bytearray((FOLDER / ("efficientdet.tflite" if number % 2 else "ultralytics.tflite")).read_bytes())
        for _ in range(number % 20):
            content[rng.integers(len(content))] = rng.integers(256)
        (tmp_path / "x.tflite").write_bytes(content)
        refused += bool(error_of(lambda: of_file(tmp_path / "x.tflite")))
    assert 20 < refused < 200


def test_ends_are_read_with_keys_and_operators():
    found = ends.read((FOLDER / "tf2.tflite").read_bytes())
    assert [(end.key, end.operator, end.place) for end in found.outputs] == [
        ("output_1", "TFLite_Detection_PostProcess", 2), ("output_3", "TFLite_Detection_PostProcess", 0),
        ("output_0", "TFLite_Detection_PostProcess", 3), ("output_2", "TFLite_Detection_PostProcess", 1)]
    assert [(end.key, end.shape, end.is_float) for end in found.inputs] == [("pixels", (1, 32, 48, 3), True)]


@pytest.mark.parametrize("name", sorted(path.name for path in FOLDER.glob("*.tflite")))
def test_the_largest_number_of_an_output_is_the_one_that_the_runtime_tells_of(name):
    content = (FOLDER / name).read_bytes()
    found = [end.greatest for end in ends.read(content).outputs]
    for greatest, told in zip(found, Network(content, name).outputs, strict=True):
        quantized = told.dtype.kind in "iu" and told.scale
        assert greatest == (pytest.approx((np.iinfo(told.dtype).max - told.zero_point) * told.scale) if quantized else None)

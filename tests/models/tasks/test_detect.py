"""Detections of every layout are right to a pixel, after letterbox, suppression and quantization.

The networks find rectangles by the pixels that they are given, so what is told is right only if all of the way is.
"""

import hashlib
import tracemalloc

import numpy as np
import pytest

from reflexd_models.base import ModelError
from reflexd_models.bundle import find_bundle, open_camera_model
from reflexd_models.image import Still
from reflexd_models.tasks.detect import Options
from tests.models.detectors import FOLDER, HEIGHT, NAMES, WIDTH, bundle, frame, in_pixels, model, opened
from tests.models.helpers import rgb

RGB = ("red", "green", "blue")

# Frames of the networks' shape, wider and higher ones, smaller and larger; the network's pixels are whole ones of the frame.
FRAMES = [(48, 32, 1), (96, 64, 2), (240, 80, 5), (64, 128, 4), (480, 320, 10), (24, 12, 0.5)]
STRETCHED = {"tf1", "tf2", "tf2_int8", "signature", "untold", "efficientdet"}


def drawn(width: int, height: int, step: float) -> tuple[dict[str, tuple[int, ...]], np.ndarray]:
    """Draw three rectangles, of which two overlap by more than half: they are of other labels, so both are told."""
    def at(*shares: float) -> tuple[int, ...]:
        unit = max(int(step), 1)
        return tuple(round(share * side / unit) * unit for share, side in zip(shares, (width, height) * 2, strict=True))

    boxes = {"red": at(0, 0.125, 0.375, 0.75), "green": at(0.5, 0.25, 1, 1), "blue": at(0.5625, 0.25, 1, 0.9375)}
    return boxes, frame(width, height, **boxes)      # type: ignore[arg-type]


@pytest.mark.parametrize("name", NAMES)
def test_boxes_are_right_to_a_pixel_of_what_the_network_sees(name):
    for width, height, step in FRAMES:
        wanted, pixels = drawn(width, height, step)
        said = model(name).predict(rgb(pixels), 7)
        found = in_pixels(said, width, height)
        shrunk = max(width / WIDTH, height / HEIGHT)
        one_pixel = (width / WIDTH, height / HEIGHT) if name in STRETCHED else (shrunk, shrunk)
        assert found.keys() == wanted.keys(), (name, width, height)
        for label in wanted:
            off = np.abs(np.subtract(found[label], wanted[label])) / (one_pixel * 2)
            assert off.max() <= 1.001, (name, (width, height), label, found[label], wanted[label])
        assert said.taken_at == 7
        assert all(abs(said.scores[label] - 0.9) < 0.02 for label in wanted)


@pytest.mark.parametrize("name", NAMES)
def test_an_empty_frame_has_no_detections_and_every_score_is_nought(name):
    said = model(name).predict(rgb(frame(100, 60)), 0)
    assert said.detections == ()
    assert said.scores == {"red": 0.0, "green": 0.0, "blue": 0.0}


@pytest.mark.parametrize("name", ["ultralytics_int8", "transposed_nchw", "tf2", "end_to_end"])
def test_only_watched_labels_are_told(name):
    _, pixels = drawn(192, 128, 2)
    said = model(name, frozenset({"green", "unicorn"})).predict(rgb(pixels), 0)
    assert [one.label for one in said.detections] == ["green"]
    assert list(said.scores) == ["green"]
    assert model(name, frozenset()).predict(rgb(pixels), 0).scores == {}


def test_detections_come_best_first_bounded_and_as_plain_numbers():
    _, pixels = drawn(192, 128, 2)
    every = model("ultralytics_int8", iou=1.0).predict(rgb(pixels), 0).detections
    assert np.allclose([one.score for one in every], [0.9] * 3 + [0.7] * 3 + [0.5] * 3, atol=0.01)
    assert model("ultralytics_int8", iou=1.0, min_score=0.6).predict(rgb(pixels), 0).detections == every[:6]
    assert model("ultralytics_int8", iou=1.0, max_detections=4).predict(rgb(pixels), 0).detections == every[:4]
    assert all(type(number) is float for one in every for number in (one.score, *one.box))
    assert all(0 <= share <= 1 for one in every for share in one.box)


@pytest.mark.parametrize("name", ["ultralytics", "tf1"])
def test_a_region_is_looked_at_alone_and_its_boxes_are_shares_of_the_whole_frame(name):
    pixels = frame(400, 300, red=(0, 0, 90, 300), green=(200, 100, 280, 180))
    said = model(name, region=(0.25, 0.25, 0.5, 0.5)).predict(rgb(pixels), 0)
    found = in_pixels(said, 400, 300)
    assert list(found) == ["green"]
    assert np.abs(np.subtract(found["green"], (200, 100, 280, 180))).max() <= 4.7      # a pixel of the network's
    assert model(name, region=(0.25, 0.25, 0.5, 0.5)).least_px == (96, 64)     # type: ignore[attr-defined]


def test_every_format_of_a_frame_is_given_its_border():
    colours, grey = frame(64, 128, green=(16, 32, 48, 96)), np.full((128, 64), 200, np.uint8)
    (given,) = model("ultralytics").given(rgb(colours))
    assert given.shape == (HEIGHT, WIDTH, 3)
    assert (given[:, :16] == 114).all()
    assert (given[:, -16:] == 114).all()
    assert (given[9:23, 21:27] == (0, 255, 0)).all()
    for view in (Still("grey", (grey,)), Still("yuv420", (grey, grey[::2, ::2] * 0 + 128, grey[::2, ::2] * 0 + 128))):
        for detector in (model("ultralytics"), model("ultralytics_nchw_int8")):
            (given,) = detector.given(view)
            assert (given[:, :16] == 114).all()
            assert (given[:, 16:32] == 200).all()


def test_a_stretched_frame_has_no_border():
    (given,) = model("tf1").given(rgb(np.full((128, 64, 3), 200, np.uint8)))
    assert (given == 200).all()


@pytest.mark.parametrize("name", ["ultralytics", "ultralytics_nchw_int8", "tf2_int8"])
def test_a_detection_takes_no_memory_of_a_frames_size(name):
    _, pixels = drawn(640, 480, 5)
    model(name).predict(rgb(pixels), 0)
    tracemalloc.start()
    for _ in range(5):
        model(name).predict(rgb(pixels), 0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16_384


@pytest.mark.parametrize(("name", "labels", "detect", "said"), [
    ("untold", RGB, {}, r'write layout = "tf1" \(.*\) or "tf2" .* in the table \[detect\]'),
    ("untold", RGB, {"layout": "end-to-end"}, r"cannot be told from the outputs \[1, 3, 4\], \[1, 3\]"),
    ("end_to_end", ("red", "green"), {}, "with 2 labels it may be ultralytics-transposed or end-to-end; write one of these"),
    ("ultralytics", ("red", "green"), {}, r"with 2 labels it should be \[1, 6, anchors\]"),
    ("tf2", (), {}, "has no labels inside"),
])
def test_what_cannot_be_decided_is_refused_with_what_to_write(name, labels, detect, said):
    with pytest.raises(ModelError, match=said):
        opened(bundle(name, labels, **detect))


def test_the_bundle_decides_between_layouts_that_both_fit():
    assert opened(bundle("end_to_end", ("red", "green"), layout="end-to-end")).labels == ("red", "green")


def test_a_bundle_s_own_table_reaches_the_decoder(tmp_path):
    content = (FOLDER / "untold.tflite").read_bytes()
    (tmp_path / "untold.tflite").write_bytes(content)
    (tmp_path / "model.toml").write_text(
        f'schema = 1\nname = "u"\nfile = "untold.tflite"\nsha256 = "{hashlib.sha256(content).hexdigest()}"\ntask = "detect"\n'
        'labels = ["red", "green", "blue"]\nthreshold = 0.3\n[input]\nmean = 0\nstd = 255\n'
        '[detect]\nlayout = "tf1"\nletterbox = true\n')
    detector = open_camera_model(find_bundle(f"{tmp_path}/"), Options())
    _, pixels = drawn(240, 80, 5)
    assert in_pixels(detector.predict(rgb(pixels), 0), 240, 80)["green"] == pytest.approx((120, 20, 240, 80), abs=5)
    (given,) = detector.given(rgb(pixels))
    assert (given[:8] == 114).all()
    assert find_bundle(f"{tmp_path}/").decided == "as its model.toml says"


def test_boxes_that_are_not_measured_as_supposed_are_refused_at_the_first_one():
    _, pixels = drawn(48, 32, 1)
    with pytest.raises(ModelError, match=r'boxes reach to 48, so they are not measured in shares; write boxes = "pixels"'):
        opened(bundle("pixels")).predict(rgb(pixels), 0)
    with pytest.raises(ModelError, match=r'boxes reach to 1, so they are not measured in pixels; write boxes = "shares"'):
        opened(bundle("ultralytics", boxes="pixels")).predict(rgb(pixels), 0)


def test_a_class_without_a_label_is_refused():
    with pytest.raises(ModelError, match=r"found class 2 and there are labels for 2; .* or first_class"):
        opened(bundle("tf2", ("red", "green"))).predict(rgb(drawn(48, 32, 1)[1]), 0)


def test_a_first_label_that_is_nobodys_shifts_the_classes_and_is_never_told():
    detector, pixels = opened(bundle("tf2", ("???", *RGB))), drawn(48, 32, 1)[1]
    assert detector.predict(rgb(pixels), 0).scores.keys() == {"red", "green", "blue"}
    assert in_pixels(detector.predict(rgb(pixels), 0), 48, 32).keys() == {"red", "green", "blue"}
    shifted = opened(bundle("tf2", ("nothing", *RGB), first_class=1))
    assert shifted.predict(rgb(pixels), 0).scores["nothing"] == 0


def test_overlap_is_not_asked_of_a_network_that_suppresses_itself():
    with pytest.raises(ModelError, match="iou is for networks that leave overlapping boxes to us"):
        opened(bundle("tf2"), iou=0.4)


def test_a_region_outside_the_frame_is_refused():
    with pytest.raises(ValueError, match="reaches outside the frame"):
        Options(region=(0.5, 0, 0.6, 1))


def test_the_threshold_inside_a_file_counts_until_options_say_otherwise():
    assert bundle("efficientdet").threshold == pytest.approx(0.4)
    faint = frame(96, 64, red=(10, 10, 60, 50)) // 255 * 142       # seen for a little more than a half
    assert 0.4 < model("efficientdet").predict(rgb(faint), 0).scores["red"] < 0.9
    assert model("efficientdet", min_score=0.88).predict(rgb(faint), 0).detections == ()

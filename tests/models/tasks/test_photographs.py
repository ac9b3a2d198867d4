"""Detections in photographs are those that a plain decode gives, written here from the tensors on."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from reflexd_models.bundle import of_file, open_camera_model
from reflexd_models.runtime import _taken
from reflexd_models.tasks.detect import Options
from tests.models.helpers import picture

NAME = "coco_ssd_mobilenet_v1_quant_meta"
LEAST = 0.35


@pytest.fixture(scope="module")
def plain(shared):
    """Give a function that asks the network in the usual way: (label, score, (left, top, right, bottom) in pixels) each."""
    interpreter = _taken()[0](model_path=str(shared / "models" / f"{NAME}.tflite"))
    interpreter.allocate_tensors()
    labels = (shared / "models" / "coco_labels.txt").read_text().splitlines()

    def ask(path):
        pixels = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
        high, wide = pixels.shape[:2]
        if high >= 600:        # twice the network's size: antialiased, or other things are seen
            pixels = cv2.resize(pixels, (wide // 2, high // 2), interpolation=cv2.INTER_AREA)
        small = cv2.resize(pixels, (300, 300), interpolation=cv2.INTER_LINEAR)
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], small[np.newaxis])
        interpreter.invoke()
        outputs = sorted(interpreter.get_output_details(), key=lambda one: one["name"])       # ending in :1, :2, :3
        boxes, classes, scores, count = (interpreter.get_tensor(one["index"]) for one in outputs)
        found = []
        for at in range(int(count[0])):
            top, left, bottom, right = np.clip(boxes[0, at], 0, 1)
            box = (left * wide, top * high, right * wide, bottom * high)
            found.append((labels[int(classes[0, at])], float(scores[0, at]), box))
        return found, (wide, high)

    return ask


@pytest.fixture(scope="module")
def ours(shared):
    return open_camera_model(of_file(shared / "models" / f"{NAME}.tflite"), Options(min_score=LEAST))


@pytest.mark.parametrize("file", ["cat.bmp", "bird.bmp", "cats_and_dogs.jpg", "grace_hopper.bmp"])
def test_a_photograph_is_seen_as_by_a_plain_decode(file, plain, ours, shared):
    every, (wide, high) = plain(shared / "images" / file)
    wanted = [one for one in every if one[1] >= LEAST]
    found = ours.predict(picture(shared / "images" / file), 0).detections
    assert [one.label for one in found] == [label for label, _, _ in wanted]
    for one, (_, score, box) in zip(found, wanted, strict=True):
        assert one.score == pytest.approx(score, abs=0.01)
        assert np.multiply(one.box, (wide, high, wide, high)) == pytest.approx(box, abs=1.5)

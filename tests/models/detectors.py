"""The small detectors of networks/, and frames with rectangles for them to find."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from reflexd_models.about import Detect, Input
from reflexd_models.base import Model, Prediction
from reflexd_models.bundle import Bundle, content_of, of_file
from reflexd_models.runtime import Network
from reflexd_models.tasks.detect import Options, detector

FOLDER = Path(__file__).parent / "networks"
COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255)}
WIDTH, HEIGHT = 48, 32        # of the networks' pictures
NAMES = sorted(path.stem for path in FOLDER.glob("*.tflite"))

# What a file does not say of itself, and somebody has to write into a bundle.
SAYS: dict[str, dict[str, Any]] = {"untold": {"layout": "tf1"}, "pixels": {"boxes": "pixels"}}


def bundle(name: str, labels: tuple[str, ...] = tuple(COLOURS), **detect: Any) -> Bundle:
    """Give one of the networks as a bundle."""
    return replace(of_file(FOLDER / f"{name}.tflite", labels), input=Input(mean=0, std=255), detect=Detect(**detect))


@cache
def model(name: str, watch: frozenset[str] | None = None, **options: Any) -> Model:
    """Open one of the networks, once."""
    return opened(bundle(name, **SAYS.get(name, {})), watch, **options)


def opened(said: Bundle, watch: frozenset[str] | None = None, **options: Any) -> Model:
    """Open a network without the trial in a child process, which is tried elsewhere and takes most of the time."""
    content = content_of(said)
    return detector(said, content, Network(content, said.where), Options(**options), watch)


def frame(width: int, height: int, **boxes: tuple[int, int, int, int]) -> np.ndarray:
    """Draw rectangles, of a colour each, at left, top, right, bottom in pixels."""
    pixels = np.full((height, width, 3), 40, np.uint8)
    for colour, (left, top, right, bottom) in boxes.items():
        pixels[top:bottom, left:right] = COLOURS[colour]
    return pixels


def in_pixels(said: Prediction, width: int, height: int) -> dict[str, tuple[float, ...]]:
    """Give the box of each label in pixels of the frame; each is told once."""
    labels = [one.label for one in said.detections]
    assert len(labels) == len(set(labels)), said.detections
    return {one.label: (one.box[0] * width, one.box[1] * height, one.box[2] * width, one.box[3] * height)
            for one in said.detections}

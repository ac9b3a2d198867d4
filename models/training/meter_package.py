"""Write a bundle: model.toml beside the .tflite, with its hash and a golden case.

The golden case is drawn here, so no picture of a data set is shipped. Every file is replaced by rename:
who reads the bundle meanwhile sees the old or the new one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from training import augment, network

THRESHOLD = 0.6
TOLERANCE = 26         # of 256 steps: kernels of other processors round differently
MODEL = '''\
schema = 1
name = "meter"
file = "meter.tflite"
sha256 = "{sha256}"
task = "regions"
labels = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "between"]
threshold = {threshold}          # a wheel that is read with a smaller score makes the reading unsure
card = "MODEL_CARD.md"
held_out = [{held_out}]

[input]
layout = "rgb"
width = {width}
height = {height}

[golden]
file = "golden.npz"
tolerance = {tolerance}
'''


def write_bundle(folder: Path, file: bytes, held_out: Sequence[str]) -> None:
    """Write the three files that a verified bundle needs."""
    folder.mkdir(parents=True, exist_ok=True)
    given = np.stack([drawn(position) for position in (*range(10), 4.5)])
    replace(folder / "meter.tflite", file)
    np.savez_compressed(folder / "golden.tmp.npz", given=(given ^ 0x80).view(np.int8), told=network.ask(file, given))
    (folder / "golden.tmp.npz").replace(folder / "golden.npz")
    text = MODEL.format(sha256=hashlib.sha256(file).hexdigest(), held_out=", ".join(f'"{kind}"' for kind in held_out),
                        width=augment.WIDTH, height=augment.HEIGHT, tolerance=TOLERANCE, threshold=THRESHOLD)
    replace(folder / "model.toml", text.encode())


def replace(path: Path, content: bytes) -> None:
    """Write a file so that it is never seen half."""
    partial = path.with_name(f"{path.name}.tmp")
    partial.write_bytes(content)
    partial.replace(path)


def drawn(position: float) -> augment.Pictures:
    """Draw a wheel at that position: 4.5 stands half way between 4 and 5."""
    large = np.full((128, 80, 3), 40, np.uint8)
    for digit in range(int(position) - 1, int(position) + 3):
        text, middle = str(digit % 10), 64 + (digit - position) * -128
        (width, height), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 4.0, 8)
        corner = (40 - width // 2, round(middle + height / 2))
        cv2.putText(large, text, corner, cv2.FONT_HERSHEY_SIMPLEX, 4.0, (225, 225, 225), 8, cv2.LINE_AA)
    return cv2.resize(large, (augment.WIDTH, augment.HEIGHT), interpolation=cv2.INTER_AREA)
